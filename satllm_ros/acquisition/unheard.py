"""What a camera published and nobody heard, told from the numbers that the middleware gives every message."""

from __future__ import annotations

# More publishers of one camera topic than there are anywhere.
MAX_PUBLISHERS = 64


class SequenceGaps:
    """Counts the gaps in the sequence numbers of a topic's publishers."""

    def __init__(self) -> None:
        self._last: dict[bytes, int] = {}
        self._gaps = 0
        # As the middleware says it by itself; the same messages, where it also numbers them.
        self.said_lost = 0

    @property
    def missing(self) -> int:
        """Messages that were published and not heard, as far as is known."""
        return max(self._gaps, self.said_lost)

    def note(self, publisher: bytes, number: int) -> int:
        """A message was heard; returns how many of the same publisher were missed just before it.

        What was published before the first one heard is not missed: nobody listened. A number that does not grow begins
        anew.
        """
        last = self._last.get(publisher)
        if last is None and len(self._last) >= MAX_PUBLISHERS:
            del self._last[next(iter(self._last))]
        self._last[publisher] = number
        gap = 0 if last is None or number <= last else number - last - 1
        self._gaps += gap
        return gap
