"""Symbol tables from counted digits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.coding.rans import DIGITS, LARGEST_DIGIT, SCALE_BITS, TABLE_CLASSES

_SCALE = 1 << SCALE_BITS
_DIGITS = np.arange(-LARGEST_DIGIT, LARGEST_DIGIT + 1)
# What a table says before anything is counted: a Laplacian of the class's spread, worth this many digits.
_PRIOR_DIGITS = 64.0
# Room above the largest digit that calibration saw.
_HEADROOM = 1.5


class DigitCounts:
    """How often each class's table met each digit, and where in their intervals the values lay."""

    def __init__(self) -> None:
        self._counts = np.zeros((TABLE_CLASSES, DIGITS))
        self._excess = np.zeros(TABLE_CLASSES)
        self._nonzero = np.zeros(TABLE_CLASSES)

    def add(
        self, values: NDArray[np.floating[Any]], digits: NDArray[np.integer[Any]], table: NDArray[np.integer[Any]]
    ) -> None:
        """Take in values (N, n) in steps, their digits, and the tables (n,) of their classes, none with low bits."""
        flat = (table * DIGITS + digits + LARGEST_DIGIT).reshape(-1)
        self._counts += np.bincount(flat, minlength=self._counts.size).reshape(self._counts.shape)
        nonzero = digits != 0
        owners = np.broadcast_to(table, digits.shape)[nonzero]
        excess = np.abs(digits[nonzero]) - np.abs(values[nonzero])
        self._excess += np.bincount(owners, weights=excess, minlength=TABLE_CLASSES)
        self._nonzero += np.bincount(owners, minlength=TABLE_CLASSES)

    def frequencies(self) -> NDArray[np.uint16]:
        """Tables, uint16 (12, 127), each row summing to 2^14."""
        return np.stack([_frequencies(row, index) for index, row in enumerate(self._counts)])

    def shifts(self) -> NDArray[np.uint8]:
        """Mean distance of values below their symbols, uint8 (12,), in sixteenths of a step."""
        mean = self._excess / np.maximum(self._nonzero, 1)
        shifts: NDArray[np.uint8] = np.clip(np.rint(16 * mean), 0, 15).astype(np.uint8)
        return shifts


def _frequencies(counts: NDArray[np.float64], table: int) -> NDArray[np.uint16]:
    spread = 2.0 ** ((table - 4.5) / 2)
    prior = np.exp(-np.sqrt(2) * np.abs(_DIGITS) / spread)
    seen = np.abs(_DIGITS)[counts > 0].max(initial=0)
    limit = min(LARGEST_DIGIT, int(np.ceil(_HEADROOM * max(seen, 4 * spread))) + 1)
    share = counts + _PRIOR_DIGITS * prior / prior.sum()
    # Both signs alike: what differs is chance, or belongs to the mean.
    share = np.where(np.abs(_DIGITS) <= limit, share + share[::-1], 0)
    frequencies = np.where(share > 0, np.maximum(1, np.floor(share / share.sum() * _SCALE)), 0).astype(np.int64)
    frequencies[frequencies.argmax()] += _SCALE - frequencies.sum()
    return frequencies.astype(np.uint16)
