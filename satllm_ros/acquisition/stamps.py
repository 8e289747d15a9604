"""When an image was taken: its own stamp if that can be believed, else when it arrived.

Stamps of real cameras stand still, start at the epoch, run backwards or ahead. A delay that is made from one of those
and from a clock of ours means nothing, so a stamp has to earn its place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from satllm_ros.storage.frame_journal import FrameRow

# Drivers and transports hold an image back for seconds at most; what is older was stamped by another clock.
MAX_AGE_NS = 10_000_000_000


class Acquisition:
    """Judges the stamps of one source, in the order of arrival."""

    def __init__(self) -> None:
        self._last_ns = 0
        self._is_doubted = False

    def of(self, stamp_ns: int | None, arrival_ns: int) -> int:
        """Time of acquisition [ns since 1970] of the next image; its arrival is on the graph's clock."""
        if self._is_doubted or not is_believable(stamp_ns, arrival_ns, self._last_ns):
            # From then on, for good: times of two clocks in turn would make no sense to anybody.
            self._is_doubted = True
            return arrival_ns
        assert stamp_ns is not None
        self._last_ns = stamp_ns
        return stamp_ns


def is_believable(stamp_ns: int | None, arrival_ns: int, before_ns: int) -> bool:
    """Whether a stamp is not after the arrival, not long before it, and after that of the image before."""
    return stamp_ns is not None and before_ns < stamp_ns <= arrival_ns <= stamp_ns + MAX_AGE_NS


def clock_of_run(rows: Iterable[FrameRow]) -> tuple[str, str]:
    """By which clock the images of a whole run count as acquired, so that no figure mixes two, and why.

    Parameters
    ----------
    rows
        Rows of sensing's journal, those of one source in the order of arrival.

    Returns
    -------
    str, str
        "stamp" if every image's own stamp can be believed, else "arrival", empty if there is no image; and a reason.
    """
    last_ns: dict[str, int] = {}
    doubts: Counter[str] = Counter()
    images = 0
    for row in rows:
        if row.cause:
            continue
        images += 1
        before_ns = last_ns.get(row.source_id, 0)
        if is_believable(row.stamp_ns, row.arrival_ns, before_ns):
            last_ns[row.source_id] = row.stamp_ns or 0
        else:
            doubts[_doubt(row, before_ns)] += 1
    if not images:
        return "", ""
    if not doubts:
        return "stamp", "acquired is when the image was stamped: every stamp can be believed"
    told = ", ".join(f"{count} of {images} {words}" for words, count in doubts.items())
    return "arrival", f"acquired is when sensing had the image, as stamps cannot be believed: {told}"


def _doubt(row: FrameRow, before_ns: int) -> str:
    if row.stamp_ns is None:
        return "have none"
    if row.stamp_ns > row.arrival_ns:
        return "are later than their arrival"
    if row.arrival_ns > row.stamp_ns + MAX_AGE_NS:
        return f"are more than {MAX_AGE_NS // 1_000_000_000} s before their arrival"
    return "are not after the one before" if row.stamp_ns <= before_ns else "make no sense"
