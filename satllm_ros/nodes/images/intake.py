"""What has come in of a source: tiles that wait for a batch, the rows of their frames, and counts that add up."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from satllm_ros.acquisition.source_buffer import FrameQueue, SourceBuffer
from satllm_ros.data.tiles import Tile
from satllm_ros.nodes.images.frames import Origin
from satllm_ros.storage.frame_journal import FrameJournal, FrameRow


@dataclass(frozen=True)
class SourceCounts:
    """Tiles acquired so far, among them those that wait and those dropped by cause; mean size of an upload.

    `ended`: a bag or folder was read to its end, and nothing of it waits here. `expected_tiles`: in all, as far as can
    be told from what was read; 0 of a camera.
    """

    acquired_tiles: int
    waiting_tiles: int
    dropped: Counter[str]
    ended: bool
    tile_bytes: float
    expected_tiles: int


@dataclass(frozen=True)
class Heard:
    """An image of a camera that waits to be cut."""

    origin: Origin
    message: Any
    arrival_ns: int


class Intake:
    """Between the reader of a source and whoever takes batches, behind one lock: all counts are of one moment.

    Parameters
    ----------
    journal
        Takes a row of every frame before its tiles are given out.
    camera_tiles
        Tiles of a camera's frames that may wait to be cut; beyond, the oldest frames are dropped, whole.
    frames_total
        Frames that the source holds, or will bring; 0: nobody knows.

    Attributes
    ----------
    frames_read
        Frames that were read so far.
    """

    def __init__(
        self, buffer: SourceBuffer[Tile], journal: FrameJournal, *, camera_tiles: int, frames_total: int
    ) -> None:
        self._buffer, self._journal = buffer, journal
        self._frames_total = frames_total
        self._lock = threading.Lock()
        self._queue: FrameQueue[Heard] = FrameQueue(camera_tiles)
        self.frames_read = 0
        self._cut_tiles = 0
        self._cut_frames = 0
        self._uploaded_bytes = 0
        self._peeked_tile_bytes = 0.0
        self._peeked_frame_tiles = 0.0
        self._taken_tiles = 0
        self._first_taken_s: float | None = None
        # Of the camera's image that is being cut.
        self._in_hand_tiles = 0
        self._drops: Counter[str] = Counter()
        self._rows: list[FrameRow] = []

    def expect(self, tile_bytes: float, frame_tiles: float) -> None:
        """Mean size of a tile [byte] and tiles of a frame, as its first frames have them."""
        self._peeked_tile_bytes, self._peeked_frame_tiles = tile_bytes, frame_tiles

    # For the reader

    @property
    def wants_more(self) -> bool:
        """Whether the source should be read on."""
        with self._lock:
            return self._buffer.wants_more

    def push(self, heard: Heard, tiles: int) -> list[tuple[Heard, int]]:
        """A camera's image of so many tiles is heard; returns the images that are lost by it, with their tiles."""
        with self._lock:
            return self._queue.push(heard, tiles)

    def pop(self) -> Heard | None:
        """The camera's oldest image, to be cut now; None if there is none, or no room.

        Taken only when there is room: what waits is dropped whole, before anybody has worked on it.
        """
        with self._lock:
            waiting = self._queue.pop() if self._buffer.wants_more else None
            self._in_hand_tiles = waiting[1] if waiting is not None else 0
        return waiting[0] if waiting is not None else None

    @property
    def has_uncut(self) -> bool:
        """Whether images of a camera wait to be cut."""
        return self._queue.tiles > 0

    def add(self, tiles: Sequence[Tile], row: FrameRow) -> None:
        """A frame was cut into these tiles."""
        with self._lock:
            self._rows.append(row)
            self._buffer.push(tiles, time.monotonic())
            self._in_hand_tiles = 0
            self._cut_tiles += len(tiles)
            self._cut_frames += 1
            self._uploaded_bytes += sum(len(tile.data) for tile in tiles)

    def drop(self, row: FrameRow, *, in_hand: bool) -> None:
        """A frame is lost, by the cause in its row; `in_hand`: it was being cut, or would have been."""
        with self._lock:
            self._rows.append(row)
            self._drops[row.cause] += row.tiles
            if in_hand:
                self._in_hand_tiles = 0

    def end(self, ended: bool) -> None:
        """The reader has stopped; `ended`: since there is no more."""
        with self._lock:
            self._buffer.ended = ended

    # For whoever takes batches

    def take(self, now_s: float) -> list[Tile]:
        """Tiles of the next batch, empty while it is incomplete; raises `sqlite3.Error` if the journal fails."""
        with self._lock:
            self._write_rows()
            tiles = self._buffer.take(now_s)
            if tiles and self._first_taken_s is None:
                # What is taken first fills the chain, and says nothing of its speed.
                self._first_taken_s = now_s
            elif tiles:
                self._taken_tiles += len(tiles)
            return tiles

    def note_frames(self) -> None:
        """Write what is known of frames to the journal; raises `sqlite3.Error` if it cannot be written."""
        with self._lock:
            self._write_rows()

    def _write_rows(self) -> None:
        if self._rows:
            self._journal.write(self._rows)
            self._rows = []

    def counts(self) -> SourceCounts:
        """All counts of one moment: they add up."""
        with self._lock:
            cut, dropped = self._cut_tiles, +self._drops
            uncut = self._queue.tiles + self._in_hand_tiles
            return SourceCounts(
                acquired_tiles=cut + dropped.total() + uncut,
                waiting_tiles=len(self._buffer) + uncut,
                dropped=dropped,
                ended=self._buffer.ended and not len(self._buffer),
                tile_bytes=self._uploaded_bytes / cut if cut else self._peeked_tile_bytes,
                expected_tiles=self._expected_tiles(),
            )

    @property
    def frames_total(self) -> int | None:
        """Frames that the source holds, or will bring; None: nobody knows."""
        return max(self._frames_total, self.frames_read) if self._frames_total else None

    def overflow_sentence(self, tiles: int) -> str:
        """What to say of a camera that is too fast; `tiles`: of its newest image."""
        with self._lock:
            dropped, taken = self._drops["camera_overflow"], self._taken_tiles
        sentence = f"the camera is faster than the chain: {dropped} tiles dropped so far, by whole images, oldest first"
        if self._first_taken_s is None or not taken:
            return f"{sentence}; nothing flies yet"
        per_s = taken / max(time.monotonic() - self._first_taken_s, 1e-3)
        return f"{sentence}; it takes {per_s:.1f} tiles/s, so {per_s / tiles:.2g} images/s of {tiles} tiles would do"

    def _expected_tiles(self) -> int:
        if not self._frames_total:
            return 0
        per_frame = self._cut_tiles / self._cut_frames if self._cut_frames else self._peeked_frame_tiles
        left = 0 if self._buffer.ended else max(0, self._frames_total - self.frames_read)
        return self._cut_tiles + round(left * per_frame)
