"""Which lines of a process's output are shown on the terminal: warnings and errors, each once, without a flood."""

from __future__ import annotations

import re
from dataclasses import dataclass

# rclpy's levels that somebody has to see.
_TELLING = re.compile(r"\[(WARN|ERROR|FATAL)\]")
_TIME = re.compile(r"\[\d+\.\d+\] ?")
_NUMBER = re.compile(r"\d+")
# A line like one that was shown is told of after this long, then after twice as long, and so on.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 640.0
# Lines that are all different: so many in a period, the rest are counted.
MAX_LINES, PERIOD_S = 20, 10.0
# Kinds of lines remembered.
MAX_KINDS = 500


@dataclass
class _Kind:
    """Lines that differ in their numbers only."""

    last: str
    due_s: float
    pause_s: float = FIRST_PAUSE_S
    unsaid: int = 0


class Echo:
    """Judges line after line; lines that differ only in time and numbers are one kind.

    The first of a kind is shown at once. Of those that follow, the last is shown with their number when the pause of
    their kind is over.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}
        self._period_start_s = float("-inf")
        self._shown = 0
        self._left_out = 0

    def hear(self, line: str, now_s: float) -> list[str]:
        """Lines to show now that this one has come; usually none."""
        if not _TELLING.search(line):
            return []
        kind = _NUMBER.sub("#", _TIME.sub("", line))
        known = self._kinds.get(kind)
        if known is not None:
            known.last, known.unsaid = line, known.unsaid + 1
            return []
        if len(self._kinds) >= MAX_KINDS:
            self._kinds.pop(next(iter(self._kinds)))
        self._kinds[kind] = _Kind(line, now_s + FIRST_PAUSE_S)
        if now_s - self._period_start_s > PERIOD_S:
            self._period_start_s, self._shown = now_s, 0
        if self._shown >= MAX_LINES:
            self._left_out += 1
            return []
        self._shown += 1
        return [line]

    def due(self, now_s: float) -> list[str]:
        """Lines to show because their pause is over; to be asked now and then."""
        lines = []
        for kind in self._kinds.values():
            if kind.unsaid and now_s >= kind.due_s:
                kind.pause_s = min(2 * kind.pause_s, LONGEST_PAUSE_S)
                kind.due_s = now_s + kind.pause_s
                lines.append(_counted(kind))
        if now_s - self._period_start_s > PERIOD_S:
            lines += self._flood()
        return lines

    def rest(self) -> list[str]:
        """What has not been told when the process has ended."""
        return [_counted(kind) for kind in self._kinds.values() if kind.unsaid] + self._flood()

    def _flood(self) -> list[str]:
        number, self._left_out = self._left_out, 0
        return [f"{number} further warnings and errors are in the log"] if number else []


def _counted(kind: _Kind) -> str:
    number, kind.unsaid = kind.unsaid, 0
    return f"{kind.last} (said {number} times more)" if number > 1 else kind.last
