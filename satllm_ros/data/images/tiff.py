"""TIFF files, of any number of bands and type of samples, by tifffile."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from satllm_ros.data.images.errors import ImageError, PixelsRefusedError
from satllm_ros.data.images.samples import Layout

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_UNSIGNED_FORMS, _SIGNED, _FLOAT = (1, 4), 2, 3
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_ORIENTATION, _INK_SET, _COLOR_MAP = 274, 332, 320
_CMYK = 1
_PLANES = 2
_ALPHA = (1, 2)
_UNCOMPRESSED, _JPEG = 1, 7
# No compression that TIFF knows makes more of a byte.
_MOST_FROM_A_BYTE = 10_000
_SMALL_BYTES = 1 << 24

# What it has to say comes in the error.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class TiffPicture:
    """One picture: (H, W, bands) samples as stored, what they are, and the orientation 1 to 8."""

    samples: NDArray[Any]
    layout: Layout
    orientation: int


def read_tiff(data: bytes, check: Callable[[Layout], None]) -> TiffPicture:
    """Read the one picture of a TIFF file; overviews and masks beside it are left alone.

    The sentence of an error begins where callers put the file's name.

    Parameters
    ----------
    check
        Called with the `Layout` before a pixel is decoded; raises if it is refused.

    Raises
    ------
    ImageError
        If the file is damaged, or of a kind that is not read.
    PixelsRefusedError
        If it holds several pictures, or colors of another kind.
    """
    try:
        from tifffile import TiffFile
    except ImportError as error:
        raise ImageError(
            "needs tifffile to be read, which is not installed: pip install tifffile imagecodecs"
        ) from error
    try:
        with TiffFile(io.BytesIO(data)) as file:
            page = file.pages[0]
            if _has_more_pictures(file) or page.imagedepth > 1:
                raise PixelsRefusedError("holds several pictures; one picture a file is read: split it")
            layout, orientation = _layout(page), int(page.tags.valueof(_ORIENTATION, 1) or 1)
            check(layout)
            _check_extent(page, len(data))
            return TiffPicture(_converted(page, _stored(page)), layout, orientation)
    except ImageError:
        raise
    # tifffile and its codecs stumble over damaged files in many ways; each means that this one cannot be read.
    except Exception as error:  # noqa: BLE001
        raise ImageError(f"is damaged or cannot be decoded ({error})") from error


def _has_more_pictures(file: Any) -> bool:
    return any(not (page.subfiletype & 1 or page.subfiletype & 4) for page in islice(file.pages, 1, None))


def _layout(page: Any) -> Layout:
    bits = page.bitspersample
    form = page.sampleformat
    if isinstance(bits, tuple) or isinstance(form, tuple):
        raise PixelsRefusedError(f"has samples of several types, bits {bits} and formats {form}; one type is read")
    kind = "unsigned" if form in _UNSIGNED_FORMS else {_SIGNED: "signed", _FLOAT: "float"}.get(form)
    if kind is None or page.dtype is None:
        raise PixelsRefusedError(f"has samples of format {form} with {bits} bits; whole numbers and floats are read")
    bands = page.samplesperpixel
    if _is_converted(page):
        return Layout(8, kind, 3, 3)
    colors = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3}.get(page.photometric, 0)
    declared_alpha = sum(int(extra) in _ALPHA for extra in _extra_samples(page))
    # A float or signed gray picture is one too: what its samples mean is asked for by their type.
    return Layout(bits, kind, bands, colors if bands == colors + declared_alpha else 0)


def _is_converted(page: Any) -> bool:
    """Whether the file declares how its samples become RGB: by a palette, as inks or as YCbCr."""
    if page.bitspersample > 8 or page.sampleformat not in _UNSIGNED_FORMS:
        return False
    if page.photometric == _SEPARATED:
        return bool(page.samplesperpixel == 4 and page.tags.valueof(_INK_SET, _CMYK) == _CMYK)
    # The codec of JPEG gives RGB; other YCbCr would stay what it is.
    return bool(page.photometric == _PALETTE or (page.photometric == _YCBCR and page.compression == _JPEG))


def _extra_samples(page: Any) -> tuple[Any, ...]:
    extra = page.extrasamples
    return extra if isinstance(extra, tuple) else (extra,)


def _check_extent(page: Any, size: int) -> None:
    """Refuse what the file cannot hold, before memory is asked for."""
    wanted = page.imagewidth * page.imagelength * page.samplesperpixel * max(1, page.bitspersample // 8)
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if any(offset + count > size for offset, count in segments):
        raise ImageError("is cut off")
    held = sum(count for _, count in segments)
    if page.bitspersample >= 8 and page.compression == _UNCOMPRESSED and page.photometric != _YCBCR and held < wanted:
        raise ImageError(f"declares {wanted} bytes of pixels and holds {held}")
    if wanted > max(_SMALL_BYTES, _MOST_FROM_A_BYTE * size):
        raise ImageError(f"declares {wanted} bytes of pixels, more than {size} bytes can hold")


def _stored(page: Any) -> NDArray[Any]:
    """Samples as (H, W, bands), in the byte order of this machine."""
    samples = np.asarray(page.asarray(maxworkers=1))
    if page.planarconfig == _PLANES and page.samplesperpixel > 1:
        samples = np.moveaxis(samples.reshape(page.samplesperpixel, page.imagelength, page.imagewidth), 0, -1)
    samples = samples.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)
    return samples.astype(samples.dtype.newbyteorder("="), copy=False)


def _converted(page: Any, samples: NDArray[Any]) -> NDArray[Any]:
    """What the file itself declares: a palette, inks, white as zero, fewer bits than a byte."""
    if page.sampleformat not in _UNSIGNED_FORMS:
        return samples
    most = (1 << page.bitspersample) - 1
    if _is_converted(page) and page.photometric == _PALETTE:
        # 16 bits a color, of which Pillow and viewers take the upper 8.
        table = (np.asarray(page.tags.valueof(_COLOR_MAP)).reshape(3, -1).T >> 8).astype(np.uint8)
        rgb: NDArray[np.uint8] = table[samples[:, :, 0]]
        return rgb
    if _is_converted(page) and page.photometric == _SEPARATED:
        return np.array(Image.fromarray(np.ascontiguousarray(samples), "CMYK").convert("RGB"))
    if page.photometric == _WHITE_IS_ZERO:
        samples = (most - samples).astype(samples.dtype)
    if page.bitspersample < 8:
        samples = (samples.astype(np.uint16) * 255 // most).astype(np.uint8)
    return samples
