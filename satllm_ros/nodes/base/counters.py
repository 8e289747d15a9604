"""Counters by cause, safe to bump from any thread."""

from __future__ import annotations

import threading
from collections import Counter


class Counters:
    """Named counts that only grow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, cause: str, count: int = 1) -> None:
        with self._lock:
            self._counts[cause] += count

    def snapshot(self) -> dict[str, int]:
        with self._lock:
            return dict(sorted(self._counts.items()))

    def __getitem__(self, cause: str) -> int:
        with self._lock:
            return self._counts[cause]
