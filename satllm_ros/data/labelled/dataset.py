"""Labelled images of one split, whatever they were read from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from satllm_ros.data.images.decoding import decode_image
from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules

ALL_SPLITS = "all"


class DatasetError(ValueError):
    """A data set that is missing, malformed or lacks what was asked of it."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images of one split; files are read when asked for.

    Attributes
    ----------
    labels
        (n,) int64, index into `classes`.
    classes
        Names of all classes of the data set, also those absent from this split.
    filenames
        n unique names.
    read_file
        Image index -> bytes of the original file.
    pixels
        What is stated about the images beside what they declare.
    """

    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    filenames: tuple[str, ...]
    read_file: Callable[[int], bytes]
    pixels: PixelRules = AS_DECLARED

    def __len__(self) -> int:
        return len(self.filenames)

    def check_classes(self, known: tuple[str, ...], owner: str) -> None:
        """Raise DatasetError unless these are the classes that a model, `owner`, knows, in their order."""
        if self.classes != known:
            raise DatasetError(
                f"the data set's classes are {', '.join(self.classes)}; {owner} knows {', '.join(known)}, in this order"
            )

    def only(self, indices: NDArray[np.int64]) -> Dataset:
        """The chosen images, in that order."""
        return Dataset(
            self.labels[indices],
            self.classes,
            tuple(self.filenames[index] for index in indices),
            lambda index: self.read_file(int(indices[index])),
            self.pixels,
        )

    def with_pixels(self, rules: PixelRules) -> Dataset:
        """The same images, read by these rules."""
        return replace(self, pixels=rules)

    def draw(self, count: int, seed: int) -> NDArray[np.int64]:
        """Indices of `count` random images (all, if there are fewer), ascending; the same for the same seed.

        Raises
        ------
        DatasetError
            If the seed is negative.
        """
        if seed < 0:
            raise DatasetError(f"seed {seed} is not allowed; it must not be negative")
        return np.sort(np.random.default_rng(seed).permutation(len(self))[:count])

    def jpeg(self, index: int) -> bytes:
        """Bytes of the original file, whatever its format, untouched."""
        return self.read_file(index)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Decoded image, (H, W, 3) uint8 RGB; raises ImageError naming the file."""
        return decode_image(self.read_file(index), self.filenames[index], self.pixels)

    def stack(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Decoded images of one size, (n, H, W, 3) uint8 RGB.

        Raises
        ------
        DatasetError
            If `indices` is empty or an image has another size than the first; the message names both.
        """
        if len(indices) == 0:
            raise DatasetError("no images to stack; at least one index is needed")
        first = self.image(int(indices[0]))
        stacked = np.empty((len(indices), *first.shape), dtype=np.uint8)
        for position, index in enumerate(indices):
            image = self.image(int(index))
            if image.shape != first.shape:
                raise DatasetError(
                    f"image {self.filenames[int(index)]} is {image.shape[1]}x{image.shape[0]}, "
                    f"{self.filenames[int(indices[0])]} is {first.shape[1]}x{first.shape[0]}; "
                    "all images must have one size; --resize N brings them to one, N being the model's"
                )
            stacked[position] = image
        return stacked


def check_split(path: Path, split: str, known: Sequence[str]) -> None:
    """Raise DatasetError unless `split` is one of the data set's splits or "all"."""
    if split != ALL_SPLITS and split not in known:
        raise DatasetError(f"data set {path} has no split {split!r}; allowed are {', '.join([*known, ALL_SPLITS])}")


def class_shares(labels: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """How many of `count` images each class that occurs gives, in the order of labels; see `held_out`."""
    sizes = np.unique(labels, return_counts=True)[1]
    # Integers, so that equal remainders are equal: in floating point a tie could fall either way.
    shares: NDArray[np.int64]
    shares, remainders = np.divmod(count * sizes, len(labels))
    shares[np.argsort(-remainders, kind="stable")[: count - shares.sum()]] += 1
    return shares
