"""Decoding one encoded image file."""

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Wider pixels (16 bit, float) have no agreed scale to 8 bits: Pillow would clip them silently.
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


class ImageError(ValueError):
    """An image that cannot be decoded to 8-bit RGB."""


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decode an encoded image file.

    Parameters
    ----------
    data
        The file's bytes (JPEG, PNG or TIFF).
    name
        What to call the image in an error.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) uint8, RGB. Grey images get three equal channels.

    Raises
    ------
    ImageError
        If the bytes are no image, are truncated, or hold more than 8 bits a channel.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode not in _EIGHT_BIT_MODES:
                raise ImageError(f"image {name} has pixels of mode {image.mode}; 8 bits a channel are allowed")
            return np.array(image.convert("RGB"))
    except ImageError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        reason = "is no image" if isinstance(error, Image.UnidentifiedImageError) else f"is damaged ({error})"
        raise ImageError(f"image {name} ({len(data)} bytes) {reason}; a JPEG, PNG or TIFF is expected") from error
