"""Decoding one encoded image file: the one decoder of folders, bags, cameras, training and evaluation.

What a file declares is taken at its word, and nothing else is guessed; docs/images.md says what that means.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from satllm_ros.data.images import jpeg, jpeg2000, png, tiff
from satllm_ros.data.images.errors import ImageError, PixelsRefusedError
from satllm_ros.data.images.exif import exif_orientation
from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules
from satllm_ros.data.images.samples import Layout, resized, to_rgb, upright

__all__ = ["ImageError", "PixelsRefusedError", "decode_image", "jpeg_as_is", "read_samples"]

# Formats of 8 bits a channel that Pillow reads beside JPEG and PNG.
_OTHER_FORMATS = ("BMP", "GIF", "WEBP")
_EXPECTED = "a JPEG, PNG or TIFF is expected"
_BANDS = {"L": (1, 1), "LA": (2, 1), "RGB": (3, 3), "RGBA": (4, 3)}
# Files of less than a few million pixels are no danger; in larger ones a byte holds no more pixels than this.
_SMALL_PIXELS = 1 << 22
_MOST_PIXELS_A_BYTE = 10_000
Read = tuple[NDArray[Any], Layout, int]


def decode_image(data: bytes, name: str, rules: PixelRules = AS_DECLARED) -> NDArray[np.uint8]:
    """Decode an encoded image file, turned upright as its EXIF orientation says.

    Parameters
    ----------
    data
        The file's bytes (JPEG, PNG or TIFF; JPEG 2000, BMP, GIF and WebP too).
    name
        What to call the image in an error.
    rules
        What the user states beside what the file declares.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) uint8, RGB. Gray images get three equal channels.

    Raises
    ------
    PixelsRefusedError
        If the file can be read, but neither it nor the rules say what its samples mean: more than 8 bits, signed or
        float samples, bands without a color, several pictures.
    ImageError
        If the bytes are no image, or are damaged or cut off.
    """
    samples, layout, orientation = read_samples(data, name, rules)
    return resized(upright(to_rgb(samples, layout, rules), orientation), rules.resize)


def read_samples(data: bytes, name: str, rules: PixelRules) -> Read:
    """Stored samples (H, W, bands) of a file, what they are, and its orientation; errors as of `decode_image`."""
    try:
        return _read(data, rules)
    except PixelsRefusedError as error:
        raise PixelsRefusedError(f"image {name} {error}") from error
    except ImageError as error:
        raise ImageError(f"image {name} ({len(data)} bytes) {error}; {_EXPECTED}") from error


def jpeg_as_is(data: bytes, rules: PixelRules = AS_DECLARED) -> bool:
    """Whether a satellite that decodes this file gets the very pixels of `decode_image`, which has read it.

    So it is for a gray or color JPEG that is neither turned, resized, nor of chosen bands.
    """
    if not data.startswith(jpeg.START) or rules.bands is not None:
        return False
    header = jpeg.read_jpeg_header(data)
    if header.components not in (1, 3) or header.orientation != 1:
        return False
    return rules.resize is None or header.height == header.width == rules.resize


def _read(data: bytes, rules: PixelRules) -> Read:
    """As `read_samples`; errors begin where the name ends."""
    if data.startswith(tiff.STARTS):
        picture = tiff.read_tiff(data, lambda layout: layout.check(rules))
        return picture.samples, picture.layout, picture.orientation
    if data.startswith(png.START):
        return _read_png(data, rules)
    if data.startswith(jpeg.START):
        header = jpeg.read_jpeg_header(data)
        Layout(header.bits, "unsigned", header.components, min(header.components, 3)).check(rules)
        if header.bits != 8:
            raise PixelsRefusedError(f"has {header.bits} bits a channel; JPEG files of 8 bits are read")
        return *_read_with_pillow(data, ("JPEG",), rules)[:2], header.orientation
    if data.startswith(jpeg2000.STARTS):
        stored = jpeg2000.read_jpeg2000_header(data)
        if stored.bits > 8 or stored.is_signed:
            what = f"{stored.bits} bits a channel{', signed' if stored.is_signed else ''}"
            raise PixelsRefusedError(f"has {what}; JPEG 2000 files of 8 bits are read, wider samples from TIFF")
        return _read_with_pillow(data, ("JPEG2000",), rules)
    return _read_with_pillow(data, _OTHER_FORMATS, rules)


def _read_png(data: bytes, rules: PixelRules) -> Read:
    header = png.read_png_header(data)
    if header.pictures > 1:
        raise PixelsRefusedError(f"holds {header.pictures} pictures; one picture a file is read: split it")
    if header.bits <= 8:
        return *_read_with_pillow(data, ("PNG",), rules)[:2], header.orientation
    layout = Layout(header.bits, "unsigned", *png.COLOR_TYPES[header.color_type])
    layout.check(rules)
    _check_extent(header.height, header.width, len(data))
    return png.read_wide_png(data, header), layout, header.orientation


def _read_with_pillow(data: bytes, formats: tuple[str, ...], rules: PixelRules) -> Read:
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            if _has_more_pictures(image):
                raise PixelsRefusedError("holds several pictures; one picture a file is read: split it")
            _check_extent(image.height, image.width, len(data))
            samples = _declared(image)
            orientation = exif_orientation(image.info.get("exif"))
    except ImageError:
        raise
    # Pillow stumbles over damaged files in many ways; each means that this one cannot be read.
    except Exception as error:  # noqa: BLE001
        reason = "is no image" if isinstance(error, UnidentifiedImageError) else f"is damaged ({error})"
        raise ImageError(reason) from error
    layout = Layout(8, "unsigned", samples.shape[2], samples.shape[2] - (samples.shape[2] + 1) % 2)
    layout.check(rules)
    return samples, layout, orientation


def _has_more_pictures(image: Image.Image) -> bool:
    """Whether a file holds more pictures than one; previews and gain maps in the JPEG of a camera are none."""
    if image.format != "MPO":
        return getattr(image, "n_frames", 1) > 1
    first = image.size
    sizes = []
    for place in range(1, image.n_frames):  # type: ignore[attr-defined]
        image.seek(place)
        sizes.append(image.size)
    image.seek(0)
    return first in sizes


def _declared(image: Image.Image) -> NDArray[np.uint8]:
    """Samples (H, W, bands) of a file of 8 bits; palettes, CMYK and single bits as they are declared."""
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode not in _BANDS:
        image = image.convert("RGB")
    samples = np.asarray(image)
    return samples.reshape(*samples.shape[:2], -1)


def _check_extent(height: int, width: int, size: int) -> None:
    """Refuse what the file cannot hold, before memory is asked for."""
    if height * width > max(_SMALL_PIXELS, _MOST_PIXELS_A_BYTE * size):
        raise ImageError(f"declares {width}x{height} pixels, more than {size} bytes can hold")
