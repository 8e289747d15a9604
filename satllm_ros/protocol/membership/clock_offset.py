"""Offset between the monotonic clocks of two hosts, from the four times of two-way messages, as NTP estimates it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import isfinite

# Two crystals differ by less: 50 parts per million each are what the worst of them are sold with.
MAX_DRIFT = 100e-6
WINDOW_S = 60.0


@dataclass(frozen=True)
class Offset:
    """Their clock less ours [s]; the true one lies within `uncertainty_s` of it."""

    offset_s: float
    uncertainty_s: float


@dataclass(frozen=True)
class _Sample:
    offset_s: float
    # At `taken_s`, of our clock; it grows by the drift from then on.
    uncertainty_s: float
    taken_s: float

    def uncertainty_at(self, now_s: float) -> float:
        return self.uncertainty_s + MAX_DRIFT * max(0.0, now_s - self.taken_s)


class ClockOffset:
    """The best of the samples of the last `window_s`: that of the least round trip, with what the clocks drift since.

    How a round trip is divided between the two ways is not known, so that half of it is the uncertainty.
    """

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        # The minimum of a window that slides: each is better than those after it.
        self._samples: deque[_Sample] = deque()

    def add(self, sent_s: float, received_s: float, answered_s: float, returned_s: float) -> bool:
        """Take one exchange; False if such times cannot be.

        Parameters
        ----------
        sent_s, returned_s
            When our message was sent and the answer came, by our clock [s].
        received_s, answered_s
            When it was received and answered, by theirs [s].
        """
        away_s, there_s = returned_s - sent_s, answered_s - received_s
        if not (isfinite(away_s) and isfinite(there_s) and away_s >= 0 and there_s >= 0):
            return False
        drift_s = MAX_DRIFT * away_s
        if there_s > away_s + drift_s:
            return False
        offset_s = (received_s - sent_s) / 2 + (answered_s - returned_s) / 2
        if not isfinite(offset_s):
            return False
        # The clocks drift while the message is away, and so does the measure of how long it was there.
        sample = _Sample(offset_s, max(0.0, away_s - there_s) / 2 + 1.5 * drift_s, returned_s)
        if self._samples and self._contradicts(sample):
            # A clock has jumped, as that of a computer that slept: what was before says nothing any more.
            self._samples.clear()
        while self._samples and self._samples[-1].uncertainty_at(returned_s) >= sample.uncertainty_s:
            self._samples.pop()
        self._samples.append(sample)
        while self._samples[0].taken_s < returned_s - self._window_s:
            self._samples.popleft()
        return True

    def best(self, now_s: float) -> Offset | None:
        """The offset, with its uncertainty now; None before the first exchange."""
        if not self._samples:
            return None
        best = self._samples[0]
        return Offset(best.offset_s, best.uncertainty_at(now_s))

    def _contradicts(self, sample: _Sample) -> bool:
        best = self._samples[0]
        between_s = abs(best.offset_s - sample.offset_s)
        return between_s > best.uncertainty_at(sample.taken_s) + sample.uncertainty_s
