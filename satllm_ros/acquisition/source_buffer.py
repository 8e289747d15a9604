"""Between a source and custody: whole frames of a camera wait to be cut, tiles wait for a batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Frame = TypeVar("Frame")
Tile = TypeVar("Tile")


class FrameQueue(Generic[Frame]):
    """Frames of a live source that wait to be cut; a pure state machine.

    What the chain cannot take is dropped by whole frames, oldest first: half a picture is of no use to anyone. The
    newest frame always has a place, however large it is.

    Parameters
    ----------
    limit_tiles
        Tiles that may wait.
    """

    def __init__(self, limit_tiles: int) -> None:
        self._limit_tiles = limit_tiles
        self._frames: deque[tuple[Frame, int]] = deque()
        self.tiles = 0

    def __iter__(self) -> Iterator[Frame]:
        return (frame for frame, _ in self._frames)

    def push(self, frame: Frame, tiles: int) -> list[tuple[Frame, int]]:
        """Add a frame of so many tiles; returns the frames that are lost by it, oldest first, with their tiles."""
        self._frames.append((frame, tiles))
        self.tiles += tiles
        dropped = []
        while self.tiles > self._limit_tiles and len(self._frames) > 1:
            dropped.append(self._frames.popleft())
            self.tiles -= dropped[-1][1]
        return dropped

    def pop(self) -> tuple[Frame, int] | None:
        """The oldest frame and its tiles, to be cut now; None if none waits."""
        if not self._frames:
            return None
        frame, tiles = self._frames.popleft()
        self.tiles -= tiles
        return frame, tiles


class SourceBuffer(Generic[Tile]):
    """Groups tiles into batches; a pure state machine.

    Parameters
    ----------
    batch_tiles
        N, tiles of a batch.
    flush_s
        An incomplete batch of a live source is given out after so long without a new tile; None for a source that
        will have more or end.
    """

    def __init__(self, batch_tiles: int, *, flush_s: float | None = None) -> None:
        self._batch_tiles = batch_tiles
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
        """Whether the source should be read on: one batch ahead hides the reading."""
        return len(self._tiles) < self._batch_tiles

    def push(self, tiles: Iterable[Tile], now_s: float) -> None:
        """Add tiles."""
        self._tiles.extend(tiles)
        self._last_s = now_s

    def take(self, now_s: float) -> list[Tile]:
        """The next batch; empty while it is incomplete and more may come."""
        stale = self._flush_s is not None and now_s - self._last_s >= self._flush_s
        if len(self._tiles) < self._batch_tiles and not self.ended and not stale:
            return []
        return [self._tiles.popleft() for _ in range(min(self._batch_tiles, len(self._tiles)))]
