"""JPEG files: their header, and the one decoder that training, sensing and satellites share.

It is Pillow's. OpenCV's gives the same pixels, but some versions fill up what a cut-off file lacks without a word.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from satllm_ros.data.images.errors import ImageError
from satllm_ros.data.images.exif import exif_orientation

START = b"\xff\xd8"
_START_OF_SCAN = 0xDA
_APP1 = 0xE1
_EXIF = b"Exif\0\0"
# Start-of-frame markers of all processes: 0xC0 to 0xCF but for tables (C4), an extension (C8) and conditioning (CC).
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}


@dataclass(frozen=True)
class JpegHeader:
    """What a JPEG file declares: bits a sample, size [pixels], 1, 3 or 4 components, EXIF orientation 1 to 8."""

    bits: int
    height: int
    width: int
    components: int
    orientation: int


def read_jpeg_header(data: bytes) -> JpegHeader:
    """Read the header of a JPEG file, up to its first scan.

    Raises
    ------
    ImageError
        If it is none.
    """
    frame: tuple[int, int, int, int] | None = None
    orientation = 1
    position = len(START)
    while True:
        position = data.find(b"\xff", position)
        while 0 <= position < len(data) and data[position] == 0xFF:
            position += 1
        if not 0 <= position < len(data) - 2:
            raise ImageError("is cut off in its header")
        marker = data[position]
        position += 1
        if marker in _WITHOUT_LENGTH or marker == 0:
            continue
        (length,) = struct.unpack_from(">H", data, position)
        body = data[position + 2 : position + length]
        if marker in _FRAMES and len(body) >= 6:
            frame = struct.unpack_from(">BHHB", body)
        elif marker == _APP1 and body.startswith(_EXIF) and orientation == 1:
            orientation = exif_orientation(body)
        elif marker == _START_OF_SCAN:
            if frame is None:
                raise ImageError("declares no picture")
            return JpegHeader(*frame, orientation)
        position += length


def decode_jpeg(data: bytes, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Stored pixels of a JPEG file, (H, W, 3) uint8 RGB; an EXIF orientation is not applied.

    Parameters
    ----------
    size
        Height and width that it must have; looked at before anything is decoded, since some hundred bytes can declare
        gigabytes of pixels.

    Raises
    ------
    ImageError
        If it is no JPEG file, damaged, cut off or of another size.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            if size is not None and image.size != size[::-1]:
                raise ImageError(f"is {image.width}x{image.height} pixels, declared {size[1]}x{size[0]}")
            return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except ImageError:
        raise
    # Pillow stumbles over damaged files in many ways; each means that this one cannot be read.
    except Exception as error:  # noqa: BLE001
        raise ImageError(f"of {len(data)} bytes is not a readable image ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return "no JPEG" if isinstance(error, UnidentifiedImageError) else str(error) or repr(error)
