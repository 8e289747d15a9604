"""PNG files: their chunks, and samples of 16 bits, which Pillow cuts to 8 without a word where they are in color."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.data.images.errors import ImageError
from satllm_ros.data.images.exif import exif_orientation

START = b"\x89PNG\r\n\x1a\n"
# Bands, and how many of them are color, by IHDR's color type; a palette is of RGB.
COLOR_TYPES = {0: (1, 1), 2: (3, 3), 3: (3, 3), 4: (2, 1), 6: (4, 3)}


@dataclass(frozen=True)
class PngHeader:
    """What a PNG file declares: bits a sample, color type, pictures (of an animation), EXIF orientation 1 to 8."""

    bits: int
    height: int
    width: int
    color_type: int
    pictures: int
    orientation: int


def read_png_header(data: bytes) -> PngHeader:
    """Walk the chunks of a PNG file, to its end.

    Raises
    ------
    ImageError
        If a chunk is damaged, or the end is missing.
    """
    position = len(START)
    header: tuple[int, int, int, int] | None = None
    pictures, orientation = 1, 1
    while True:
        if len(data) < position + 12:
            raise ImageError("is cut off")
        length, kind = struct.unpack_from(">I4s", data, position)
        body = memoryview(data)[position + 8 : position + 8 + length]
        end = position + 8 + length
        if len(data) < end + 4:
            raise ImageError("is cut off")
        if zlib.crc32(body, zlib.crc32(kind)) != struct.unpack_from(">I", data, end)[0]:
            raise ImageError(f"is damaged in its chunk {kind.decode('latin-1')!r}")
        if header is None:
            if kind != b"IHDR" or length != 13:
                raise ImageError("does not begin with a header")
            width, height, bits, color_type = struct.unpack_from(">IIBB", body)
            if color_type not in COLOR_TYPES or bits not in (1, 2, 4, 8, 16):
                raise ImageError(f"declares color type {color_type} of {bits} bits")
            header = bits, height, width, color_type
        elif kind == b"acTL" and length == 8:
            (pictures,) = struct.unpack_from(">I", body)
        elif kind == b"eXIf":
            orientation = exif_orientation(bytes(body))
        elif kind == b"IEND":
            return PngHeader(*header, pictures, orientation)
        position = end + 4


def read_wide_png(data: bytes, header: PngHeader) -> NDArray[Any]:
    """Samples of a PNG file of 16 bits, (H, W, bands) uint16, colors as red, green, blue.

    Raises
    ------
    ImageError
        If it cannot be decoded.
    """
    # Only here: who reads bags or lists a data set needs no OpenCV.
    import cv2

    try:
        # Unchanged: at its depth, not turned. OpenCV's order is blue, green, red.
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"cannot be decoded ({' '.join(str(error).split())})") from error
    if found is None or found.dtype != np.uint16:
        raise ImageError("cannot be decoded")
    bands, colors = COLOR_TYPES[header.color_type]
    found = found.reshape(*found.shape[:2], -1)
    if colors == 1:
        # OpenCV makes gray with alpha to blue, green, red and alpha.
        return found[:, :, :1] if bands == 1 else found[:, :, [0, -1]]
    return found[:, :, [2, 1, 0, *range(3, found.shape[2])]][:, :, :bands]
