"""Two answers to the same images: how much accuracy the second loses, and how sure that is."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satllm_ros.training.evaluation.accuracy import wilson_interval

_Z_95 = 1.959963984540054


@dataclass(frozen=True)
class PairedAccuracy:
    """Right answers of a model compressed and not, on the same n images.

    Attributes
    ----------
    correct, correct_reference
        Compressed, and not.
    gained, lost
        Images that only the compressed, or only the uncompressed model answers rightly.
    """

    n: int
    correct: int
    correct_reference: int
    gained: int
    lost: int

    @property
    def accuracy(self) -> float:
        """Share of 1."""
        return self.correct / self.n

    @property
    def accuracy_reference(self) -> float:
        """Share of 1, uncompressed."""
        return self.correct_reference / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the accuracy."""
        return wilson_interval(self.correct, self.n)

    @property
    def difference(self) -> float:
        """Accuracy less the reference's; negative is a loss."""
        return (self.gained - self.lost) / self.n

    @property
    def difference_interval(self) -> tuple[float, float]:
        """95 % interval of the difference of paired shares, by Agresti and Min: half an image added to each cell."""
        n, gained, lost = self.n + 2, self.gained + 0.5, self.lost + 0.5
        center = (gained - lost) / n
        reach = _Z_95 * math.sqrt((gained + lost) - (gained - lost) ** 2 / n) / n
        return center - reach, center + reach

    @property
    def mcnemar(self) -> float:
        """Exact two-sided p of the McNemar test: 1 where both gain and lose as many."""
        changed, fewer = self.gained + self.lost, min(self.gained, self.lost)
        tail = sum(math.comb(changed, k) for k in range(fewer + 1))
        return min(1.0, float(2 * tail / (1 << changed)))


def compare(
    labels: NDArray[np.integer], predictions: NDArray[np.integer], reference: NDArray[np.integer]
) -> PairedAccuracy:
    """Count; all three are (n,), n at least 1."""
    right, right_reference = predictions == labels, reference == labels
    return PairedAccuracy(
        len(labels),
        int(right.sum()),
        int(right_reference.sum()),
        int((right & ~right_reference).sum()),
        int((right_reference & ~right).sum()),
    )
