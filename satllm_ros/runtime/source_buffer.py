"""Tiles between their source and custody: a bag waits when it is full, a live camera loses its oldest."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Tile = TypeVar("Tile")


class SourceBuffer(Generic[Tile]):
    """Groups tiles into batches; a pure state machine.

    Parameters
    ----------
    batch_tiles
        N, tiles of a batch.
    live_tiles
        Tiles of a live source that may wait here; None for a source that can be made to wait.
    flush_s
        An incomplete batch of a live source is given out after so long without a new tile.
    """

    def __init__(self, batch_tiles: int, *, live_tiles: int | None = None, flush_s: float = 1.0) -> None:
        self._batch_tiles = batch_tiles
        self._live_tiles = live_tiles
        self._flush_s = flush_s
        self._tiles: deque[Tile] = deque()
        self._last_s = 0.0
        self.ended = False

    def __len__(self) -> int:
        return len(self._tiles)

    def __iter__(self) -> Iterator[Tile]:
        return iter(self._tiles)

    @property
    def wants_more(self) -> bool:
        """Whether a source that can wait should be read on: one batch ahead hides the reading."""
        return len(self._tiles) < self._batch_tiles

    def push(self, tiles: Iterable[Tile], now_s: float) -> list[Tile]:
        """Add tiles; returns those that a live source loses by it, oldest first."""
        self._tiles.extend(tiles)
        self._last_s = now_s
        excess = 0 if self._live_tiles is None else max(0, len(self._tiles) - self._live_tiles)
        return [self._tiles.popleft() for _ in range(excess)]

    def take(self, now_s: float) -> list[Tile]:
        """The next batch; empty while it is incomplete and more may come."""
        stale = self._live_tiles is not None and now_s - self._last_s >= self._flush_s
        if len(self._tiles) < self._batch_tiles and not self.ended and not stale:
            return []
        return [self._tiles.popleft() for _ in range(min(self._batch_tiles, len(self._tiles)))]
