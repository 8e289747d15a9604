"""What a JPEG 2000 file says of its samples, which Pillow would shift to 8 bits without a word."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from satllm_ros.data.images.errors import ImageError

# The container (.jp2), and the bare codestream (.j2k): SOC, then SIZ.
_CODESTREAM = b"\xff\x4f\xff\x51"
STARTS = (b"\0\0\0\x0cjP  \r\n\x87\n", _CODESTREAM)
# Between the start of a codestream and the number of its components.
_BEFORE_COMPONENTS = 40


@dataclass(frozen=True)
class Jpeg2000Header:
    """Bits of the widest component, whether one is signed, and how many there are."""

    bits: int
    is_signed: bool
    components: int


def read_jpeg2000_header(data: bytes) -> Jpeg2000Header:
    """Header of the codestream in a file; raises `ImageError` if there is none, or it is cut off."""
    start = data.find(_CODESTREAM)
    try:
        (count,) = struct.unpack_from(">H", data, start + _BEFORE_COMPONENTS)
        depths = [data[start + _BEFORE_COMPONENTS + 2 + 3 * number] for number in range(count)]
    except (struct.error, IndexError) as error:
        raise ImageError("is cut off") from error
    if start < 0 or not depths:
        raise ImageError("has no JPEG 2000 codestream")
    return Jpeg2000Header(max(depth & 0x7F for depth in depths) + 1, any(depth & 0x80 for depth in depths), count)
