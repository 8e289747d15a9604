"""From the samples of a file or message, of whatever type, to 8-bit RGB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from satllm_ros.data.images.errors import PixelsRefusedError
from satllm_ros.data.images.pixels import PixelRules

UNSIGNED, SIGNED, FLOAT = "unsigned", "signed", "float"
_KINDS = {"u": UNSIGNED, "i": SIGNED, "f": FLOAT}


@dataclass(frozen=True)
class Layout:
    """What samples there are.

    Attributes
    ----------
    bits
        Of one sample.
    kind
        UNSIGNED, SIGNED or FLOAT.
    bands
        Samples a pixel.
    colors
        How many of the bands, the first ones, are declared to be a picture: 1 gray, 3 RGB, 0 if nothing is declared.
        What follows them is declared too, as alpha, and left out.
    """

    bits: int
    kind: str
    bands: int
    colors: int

    @classmethod
    def of(cls, dtype: np.dtype[Any], bands: int, colors: int, bits: int | None = None) -> Layout:
        """Layout of arrays of a type; `bits`, if not all of it is used."""
        return cls(bits or dtype.itemsize * 8, _KINDS[dtype.kind], bands, colors)

    @property
    def is_plain(self) -> bool:
        """Whether samples are 0..255 as they are."""
        return self.bits <= 8 and self.kind == UNSIGNED

    def check(self, rules: PixelRules, read: str = "8-bit gray and RGB are read as they are") -> None:
        """Refuse what is neither declared nor stated; `read` is what would be read.

        Raises
        ------
        PixelsRefusedError
            What the image, which callers put before it, has, what is missing, and how to state it.
        """
        here = f"has {self.bits}-bit {self.kind} samples, {self.bands} band{'s' * (self.bands > 1)} a pixel"
        if rules.bands is not None and max(rules.bands) > self.bands:
            raise PixelsRefusedError(
                f"{here}; band {max(rules.bands)} is asked for (bands: 1 to {self.bands} are there)"
            )
        missing = []
        if rules.bands is None and not self.colors:
            missing.append("bands (which are red, green and blue, or which one is gray)")
        if rules.pixel_scale is None and not self.is_plain:
            missing.append("pixel_scale (the factor from a sample to 0..255)")
        if missing:
            undeclared = ", without a declared color" if not self.colors else ""
            raise PixelsRefusedError(f"{here}{undeclared}; {read}: convert it, or state {' and '.join(missing)}")


def to_rgb(samples: NDArray[Any], layout: Layout, rules: PixelRules) -> NDArray[np.uint8]:
    """8-bit RGB, (H, W, 3) uint8, of checked samples, (H, W, bands)."""
    chosen = samples[:, :, [band - 1 for band in rules.bands]] if rules.bands else samples[:, :, : layout.colors]
    if not layout.is_plain:
        assert rules.pixel_scale is not None
        chosen = _scaled(chosen, rules.pixel_scale)
    if chosen.shape[2] == 1:
        chosen = np.repeat(chosen, 3, axis=2)
    return np.ascontiguousarray(chosen)


def upright(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """An image (H, W, bands) turned as an EXIF orientation, 1 to 8, says; other values say nothing."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def resized(image: NDArray[np.uint8], side: int | None) -> NDArray[np.uint8]:
    """The middle square of an RGB image, resampled to `side` x `side`; the same image if no side is given.

    That is the short side brought to `side`, and the middle of the long one; cut out first, so that a very long image
    costs nothing. A short side that has the length already is not resampled.
    """
    if side is None or image.shape[:2] == (side, side):
        return image
    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    middle = np.ascontiguousarray(image[top : top + short, left : left + short])
    if short == side:
        return middle
    # Ubuntu 22.04 has a Pillow without Image.Resampling; newer ones declare nothing else.
    return np.array(Image.fromarray(middle).resize((side, side), Image.BICUBIC))  # type: ignore[attr-defined]


def _scaled(values: NDArray[Any], scale: float) -> NDArray[np.uint8]:
    if values.dtype.kind in "ui" and values.dtype.itemsize <= 2:
        # Few values, many pixels: each value is scaled once.
        limits = np.iinfo(values.dtype)
        every = np.arange(limits.min, limits.max + 1, dtype=np.float64)
        return _to_byte(every * scale)[values.astype(np.int32) - limits.min]
    return _to_byte(values.astype(np.float64) * scale)


def _to_byte(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    # What is no number is nothing measured: black.
    return np.clip(np.rint(np.nan_to_num(values, nan=0.0)), 0, 255).astype(np.uint8)
