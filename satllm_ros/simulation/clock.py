"""A virtual clock: what is to happen, in the order of its times."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Any


class Clock:
    """Lets things happen at their times; of those at the same time, the one first asked for comes first.

    Attributes
    ----------
    now_s
        The time.
    events
        How much has happened.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self.events = 0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def at(self, time_s: float, action: Callable[..., None], *arguments: Any) -> None:
        """Let something happen at a time."""
        self._count += 1
        heapq.heappush(self._heap, (time_s, self._count, action, arguments))

    def run(self, until_s: float, finished: Callable[[], bool]) -> bool:
        """Let time pass; whether it finished before `until_s`."""
        heap = self._heap
        while heap and heap[0][0] <= until_s:
            self.now_s, _, action, arguments = heapq.heappop(heap)
            self.events += 1
            action(*arguments)
            if finished():
                return True
        self.now_s = until_s
        return False

    def to_come(self) -> Iterator[tuple[Callable[..., None], tuple[Any, ...]]]:
        """What has been asked for and has not happened yet, in no order."""
        return ((action, arguments) for _, _, action, arguments in self._heap)
