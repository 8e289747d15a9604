"""Running statistics of activation channels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class ChannelStatistics:
    """Mean, standard deviation and range of each channel, in float64, over samples that come in pieces.

    Attributes
    ----------
    count : int
        Samples so far.
    mean : ndarray float64
        Of the samples so far, one value a channel.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(())
        self._squares = np.zeros(())
        self._low = np.full((), np.inf)
        self._high = np.full((), -np.inf)

    def add(self, samples: NDArray[np.floating[Any]]) -> None:
        """Take in at least one sample, by Chan's update; samples run along the first axis."""
        count = len(samples)
        total = self.count + count
        samples = samples.astype(np.float64)
        mean = samples.mean(axis=0)
        shift = mean - self.mean
        self._squares = self._squares + np.square(samples - mean).sum(axis=0) + shift**2 * self.count * count / total
        self.mean = self.mean + shift * count / total
        self._low = np.minimum(self._low, samples.min(axis=0))
        self._high = np.maximum(self._high, samples.max(axis=0))
        self.count = total

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation of the samples so far."""
        return np.sqrt(self._squares / self.count)

    @property
    def largest_deviation(self) -> NDArray[np.float64]:
        """Largest |x - mean| of the samples so far."""
        largest: NDArray[np.float64] = np.maximum(self._high - self.mean, self.mean - self._low)
        return largest
