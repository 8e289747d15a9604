"""When an image was taken: its own stamp if that can be believed, else when it arrived.

Stamps of real cameras stand still, start at the epoch, run backwards or ahead. A delay that is made from one of those
and from a clock of ours means nothing, so a stamp has to earn its place.
"""

from __future__ import annotations

# Drivers and transports hold an image back for seconds at most; what is older was stamped by another clock.
MAX_AGE_NS = 10_000_000_000


class Acquisition:
    """Judges the stamps of one source, in the order of arrival."""

    def __init__(self) -> None:
        self._last_ns = 0

    def of(self, stamp_ns: int | None, arrival_ns: int) -> int:
        """Time of acquisition [ns since 1970] of the next image; its arrival is on the graph's clock."""
        if not is_believable(stamp_ns, arrival_ns, self._last_ns):
            return arrival_ns
        assert stamp_ns is not None
        self._last_ns = stamp_ns
        return stamp_ns


def is_believable(stamp_ns: int | None, arrival_ns: int, before_ns: int) -> bool:
    """Whether a stamp is not after the arrival, not long before it, and after that of the image before."""
    return stamp_ns is not None and before_ns < stamp_ns <= arrival_ns <= stamp_ns + MAX_AGE_NS
