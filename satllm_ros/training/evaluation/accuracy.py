"""Accuracy with its uncertainty."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Accuracy:
    """How many of the images of a class (or of all) were classified correctly."""

    name: str
    correct: int
    images: int

    @property
    def share(self) -> float:
        """Share of 1; NaN without images."""
        return self.correct / self.images if self.images else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the share; see `wilson_interval`."""
        return wilson_interval(self.correct, self.images)

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.name}: {100 * self.share:.1f} % ({self.correct:,} of {self.images:,}; "
            f"95 % interval {100 * low:.1f}-{100 * high:.1f})"
        )


def wilson_interval(correct: int, images: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share p = correct / images; 0 to 1 without images.

    (p + z^2 / 2n -+ z * sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n) with n = images and z = 1.96.
    """
    if images == 0:
        return 0.0, 1.0
    share = correct / images
    scale = 1 + _Z_95**2 / images
    center = (share + _Z_95**2 / (2 * images)) / scale
    reach = _Z_95 / scale * math.sqrt(share * (1 - share) / images + _Z_95**2 / (4 * images**2))
    return max(0.0, center - reach), min(1.0, center + reach)


def class_accuracies(
    labels: NDArray[np.integer], predictions: NDArray[np.integer], classes: Sequence[str]
) -> list[Accuracy]:
    """Accuracy of each class, in their order, then of all images together under the name "all"."""
    rows = [
        Accuracy(name, int(np.sum(predictions[labels == label] == label)), int(np.sum(labels == label)))
        for label, name in enumerate(classes)
    ]
    return [*rows, Accuracy("all", sum(row.correct for row in rows), sum(row.images for row in rows))]


def write_accuracies(path: Path, rows: Sequence[Accuracy]) -> None:
    """Write a CSV with the columns class, correct, images, accuracy, low_95, high_95."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["class", "correct", "images", "accuracy", "low_95", "high_95"])
        for row in rows:
            shares = (row.share, *row.interval)
            writer.writerow([row.name, row.correct, row.images, *(f"{share:.6f}" for share in shares)])


def read_accuracies(path: Path) -> list[Accuracy]:
    """Read what `write_accuracies` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return [Accuracy(row["class"], int(row["correct"]), int(row["images"])) for row in csv.DictReader(file)]
