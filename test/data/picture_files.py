"""Image files of many kinds, made here: their pixels are known."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import tifffile
from PIL import Image

HEIGHT, WIDTH = 12, 20


def picture(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A picture without symmetry, uint8 RGB: red grows to the right, green downwards."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([columns * 12 % 256, rows * 20 % 256, (rows + columns) * 7 % 256], axis=2).astype(np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    """A file by Pillow."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(samples: np.ndarray, **options: Any) -> bytes:
    """A TIFF file by tifffile, of (H, W) or (H, W, bands) samples."""
    buffer = io.BytesIO()
    options = {"metadata": None, "photometric": "minisblack"} | options
    if samples.ndim == 3 and samples.shape[2] > 1 and options["photometric"] == "minisblack":
        options.setdefault("planarconfig", "contig")
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


def png16(samples: np.ndarray) -> bytes:
    """uint16 (H, W, bands) as a PNG of 16 bits a channel, which Pillow cannot write in color."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[samples.shape[2]]
    size = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, color_type, 0, 0, 0)
    chunks = (b"IHDR", size), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def turned(orientation: int) -> Image.Exif:
    """An EXIF block that asks for an orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif
