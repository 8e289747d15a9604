"""A measured figure without its outliers: the median of the last few samples, and how far it went of late."""

from __future__ import annotations

from collections import deque
from statistics import median

SAMPLES = 5
# Reports in quick succession are one sample: a burst must not outvote what was measured before it.
SAMPLE_S = 0.5
# Noise of a shared computer lasts for seconds: what a figure may be again has been seen in so many.
RANGE_SAMPLES = 20


class MedianFilter:
    """Takes a figure as often as it is reported."""

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=SAMPLES)
        self._medians: deque[float] = deque(maxlen=RANGE_SAMPLES)
        self._newest_s = float("-inf")

    def add(self, figure: float, now_s: float) -> None:
        """A new report of the figure."""
        if not self._samples:
            # The first one stands for those that are missing, so that the second alone changes nothing.
            self._samples.extend([figure] * SAMPLES)
        elif now_s - self._newest_s < SAMPLE_S:
            self._samples[-1] = figure
            self._medians[-1] = median(self._samples)
            return
        else:
            self._samples.append(figure)
        self._medians.append(median(self._samples))
        self._newest_s = now_s

    @property
    def value(self) -> float:
        """Median of the last samples; there must be one."""
        return self._medians[-1]

    @property
    def range(self) -> tuple[float, float]:
        """Least and greatest value of late; there must be one."""
        return min(self._medians), max(self._medians)
