"""What a process of the graph tells the one that started it: the other end of `parent.tell_parent`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from satllm_ros.supervisor.parent import PLAN

_PIECE_BYTES = 65536
# Of a process that never ends its line.
_LONGEST_LINE_BYTES = 4096


class Words:
    """A pipe from a child, a new one in each of its lives.

    Attributes
    ----------
    last
        The newest line of this life that is not about a plan.
    plan
        Whether any life said that a plan is active.
    """

    def __init__(self) -> None:
        self.last = ""
        self.plan = False
        self._fd: int | None = None
        self._unfinished = b""

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A new pipe; the end that the child writes to, for as long as it takes to start the child."""
        # What the life before said last.
        self.read()
        self.close()
        self.last, self._unfinished = "", b""
        self._fd, theirs = os.pipe()
        os.set_blocking(self._fd, False)
        try:
            yield theirs
        finally:
            os.close(theirs)

    def read(self) -> None:
        """Take in what the child has said so far; never waits."""
        while self._fd is not None:
            try:
                piece = os.read(self._fd, _PIECE_BYTES)
            except BlockingIOError:
                return
            if not piece:
                self.close()
                return
            *lines, self._unfinished = (self._unfinished + piece).split(b"\n")
            self._unfinished = self._unfinished[-_LONGEST_LINE_BYTES:]
            for line in lines:
                self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> None:
        if line == PLAN:
            self.plan = True
        else:
            self.last = line

    def close(self) -> None:
        if self._fd is not None:
            with suppress(OSError):
                os.close(self._fd)
        self._fd = None
