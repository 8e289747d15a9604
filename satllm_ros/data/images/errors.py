"""The errors of reading an image."""


class ImageError(ValueError):
    """An image that cannot be read."""


class PixelsRefusedError(ImageError):
    """An image that can be read, whose samples are not taken for 8-bit gray or RGB unless somebody says how."""
