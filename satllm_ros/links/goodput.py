"""What a link really carries, from when batches were handed over and when they were received; on one clock.

A pure state machine for one directed link, on the sender's side: the caller brings the time.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Receipts that are looked at: enough for a median, few enough to forget a rate that was.
SAMPLES = 24
LEAST_SAMPLES = 5
# No more are in flight at once; of the rest no receipt will come.
MAX_PENDING = 128
# Round trips that are tried, and the share of the best that may be poorly explained: receipts come late now and then.
TRIALS = 49
EXPLAINED = 0.8
# Round trips explain what was seen equally well if they leave no more than this much more unexplained, as shares of
# what the best one leaves and of the time that a message takes.
SLACK = 0.25
SLACK_OF_TIME = 0.01
# And if they do not agree on the rate to this, there is no telling.
AGREEMENT = 0.1
# Messages that cross in less than ten times what their receipts jitter by say nothing of the link.
NOISE = 0.1
# A longer round trip than was possible before counts if it leaves so many times less unexplained.
CLEARLY = 4.0
# How much slower than its fit the quickest message may have been.
TOLERANCE = 0.05


@dataclass(frozen=True)
class Goodput:
    """What the link carries of messages while it is busy [bit/s], and there and back of an empty message [s]."""

    rate_bps: float
    round_trip_s: float


@dataclass(frozen=True)
class _Sample:
    wire_bytes: int
    handed_s: float
    # When the receipt of the one before it came; -inf without.
    before_s: float
    received_s: float


class GoodputMeter:
    """Receives each message's hand-over and receipt, and fits the rate of a link that is first in, first out.

    A message begins to cross when it is handed over or when the one before it has left, whichever is later. The one
    before has left a round trip T before its receipt came, so that every message says

        received - max(handed, received before - T) = 8 bytes / rate + T

    Messages of several sizes on an idle link give slope and intercept; those that wait for one another give the rate
    by themselves, of whatever size. T is the one that leaves the least unexplained, and the rate a weighted median, so
    that a receipt that is late changes neither. Two messages on their way at all times would look the same on a link
    twice as fast with a long round trip; the quickest message ever, mostly the first one, tells these apart. Messages
    of one size on an idle link leave both open: then there is no figure.
    """

    def __init__(self) -> None:
        self._pending: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES)
        self._received_s = float("-inf")
        # Size [bit] and time from hand-over to receipt of the quickest message; and what the round trip is at most.
        self._quickest: tuple[float, float] | None = None
        self._longest_trip_s = float("inf")
        self._estimate: Goodput | None = None
        self._is_stale = False

    def on_handed(self, batch: Hashable, wire_bytes: int, now_s: float) -> None:
        """A message of so many bytes goes to the middleware now."""
        self._pending.pop(batch, None)
        self._pending[batch] = (wire_bytes, now_s)
        if len(self._pending) > MAX_PENDING:
            self._pending.popitem(last=False)

    def on_receipt(self, batch: Hashable, now_s: float) -> bool:
        """Its receiver says that it has it; False if nothing was sent by that name, or that was said before."""
        if batch not in self._pending:
            return False
        is_next = next(iter(self._pending)) == batch
        # What was handed over before and has no receipt yet was lost, or its receipt was: how long the link was busy
        # with it nobody knows.
        while True:
            known, (wire_bytes, handed_s) = self._pending.popitem(last=False)
            if known == batch:
                break
        if is_next and wire_bytes > 0 and now_s > max(handed_s, self._received_s):
            self._samples.append(_Sample(wire_bytes, handed_s, self._received_s, now_s))
            if self._quickest is None or now_s - handed_s < self._quickest[1]:
                self._quickest = (8.0 * wire_bytes, now_s - handed_s)
            self._is_stale = True
        self._received_s = max(self._received_s, now_s)
        return True

    def on_disturbed(self) -> None:
        """The link is busy with something that is not measured: what is on its way says nothing of it."""
        self._pending.clear()

    @property
    def estimate(self) -> Goodput | None:
        """What the link carries; None as long as that cannot be told."""
        if self._is_stale:
            self._estimate, self._is_stale = self._fit(), False
        return self._estimate

    def _fit(self) -> Goodput | None:
        if len(self._samples) < LEAST_SAMPLES:
            return None
        size_bit = 8.0 * np.array([s.wire_bytes for s in self._samples])
        handed_s, before_s, received_s = (
            np.array([getattr(s, name) for s in self._samples]) for name in ("handed_s", "before_s", "received_s")
        )
        # No message is faster than a round trip.
        most_s = float(np.min(received_s - handed_s))

        def tried(longest_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
            """(TRIALS,) round trips, the time of a bit that goes best with each, what is left unexplained [s]."""
            trips_s = np.linspace(0.0, longest_s, TRIALS, dtype=np.float64)
            took_s = received_s - np.maximum(handed_s, before_s - trips_s[:, None]) - trips_s[:, None]
            s_per_bit = np.array([_weighted_median(row, size_bit) for row in took_s / size_bit])
            unexplained_s = np.sort(np.abs(took_s - s_per_bit[:, None] * size_bit), axis=1)
            explained = max(LEAST_SAMPLES - 1, int(EXPLAINED * len(size_bit)))
            return trips_s, s_per_bit, unexplained_s[:, :explained].mean(axis=1)

        trips_s, s_per_bit, cost_s = tried(min(self._longest_trip_s, most_s))
        cost_s[~self._is_possible(s_per_bit, trips_s)] = np.inf
        if self._longest_trip_s < most_s and len(self._samples) == SAMPLES:
            longer = tried(most_s)
            if CLEARLY * float(longer[2].min()) < float(cost_s.min()):
                # As to a host that has come back another way.
                self._quickest, self._longest_trip_s = None, float("inf")
                trips_s, s_per_bit, cost_s = longer
        best = int(np.argmin(cost_s))
        allowed_s = cost_s[best] * (1 + SLACK) + SLACK_OF_TIME * s_per_bit[best] * float(np.median(size_bit))
        alike = np.flatnonzero(cost_s <= allowed_s)
        slow, fast = float(s_per_bit[alike].max()), float(s_per_bit[alike].min())
        if not 0.0 < slow <= fast * (1 + AGREEMENT):
            return None
        if cost_s[best] > NOISE * s_per_bit[best] * float(np.mean(size_bit)):
            return None
        if self._quickest is not None:
            bits, least_s = self._quickest
            self._longest_trip_s = min(self._longest_trip_s, max(0.0, least_s * (1 + TOLERANCE) - fast * bits))
        return Goodput(1.0 / float(s_per_bit[best]), float(trips_s[best]))

    def _is_possible(self, s_per_bit: NDArray[np.float64], trips_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(TRIALS,) whether the quickest message could be as quick as it was, at these rates and round trips."""
        if self._quickest is not None:
            bits, least_s = self._quickest
            is_possible = s_per_bit * bits + trips_s <= least_s * (1 + TOLERANCE)
            if is_possible.any():
                return is_possible
        # The link has become slower since; whether it is longer too, shows in what is left unexplained.
        self._quickest = None
        return np.ones(len(trips_s), dtype=bool)


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Median of values (N,), each counted as often as its weight says."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])
