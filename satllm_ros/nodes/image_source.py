"""Images in: a bag, a folder or a camera, as tiles that wait for a batch."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from satllm_ros.nodes.base import FlightNode
from satllm_ros.nodes.frames import (
    Frame,
    UnreadableFrame,
    count_source_frames,
    encoded_tiles,
    frame_from,
    source_frames,
    stamp_ns,
)
from satllm_ros.runtime.source_buffer import SourceBuffer
from satllm_ros.runtime.tiles import Tile, TileError

# Causes by which tiles are dropped before they are in custody.
NEVER_SENT = ("unreadable_image", "frame_too_small", "source_damaged", "camera_overflow")
# Far more than the frames that can arrive between the two versions of one.
RECENT_STAMPS = 64
# Frames looked at before the run, for the size of an upload that the planner needs.
PEEKED_FRAMES = 20
# How soon a reader that waits for room notices that there is some.
ROOM_PERIOD_S = 0.005


@dataclass(frozen=True)
class SourceKind:
    """What to read: `kind` is topic, bag or folder; `rate` paces a bag against its recorded times, 0: not at all."""

    kind: str
    path: Path
    image_topic: str
    rate: float

    @property
    def is_live(self) -> bool:
        return self.kind == "topic"


@dataclass(frozen=True)
class SourceCounts:
    """Tiles acquired so far, among them those that wait and those dropped by cause; mean size of an upload.

    `ended`: a bag or folder was read to its end, and nothing of it waits here.
    """

    acquired_tiles: int
    waiting_tiles: int
    dropped: Counter[str]
    ended: bool
    tile_bytes: float


class ImageSource:
    """Tiles of frames, in order, and counts of all that was acquired and dropped.

    A bag or folder is read by a thread, as fast as custody has room, never faster. A camera's images come by
    `on_image`; when more than the buffer holds wait, the oldest are dropped.

    Parameters
    ----------
    on_tiles
        Called after tiles were added or the end was reached, from the thread that did so.
    """

    def __init__(
        self,
        node: FlightNode,
        what: SourceKind,
        name: str,
        buffer: SourceBuffer[Tile],
        *,
        height: int,
        width: int,
        jpeg: bool,
        on_tiles: Callable[[], None],
    ) -> None:
        self._node = node
        self._what = what
        self._name = name
        self._buffer = buffer
        self._height, self._width, self._jpeg = height, width, jpeg
        self._on_tiles = on_tiles
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None
        self._stop = threading.Event()
        self._frames_read = 0
        self._recent_stamps: deque[int] = deque(maxlen=RECENT_STAMPS)
        self._last_number = 0
        self._acquired_tiles = 0
        self._uploaded_bytes = 0
        self._uploaded_tiles = 0
        self._peeked_tile_bytes = 0.0
        self._drops: Counter[str] = Counter()
        self.expected_tiles = 0

    def peek(self) -> None:
        """Look at the first frames of a bag or folder: how many tiles there will be, and how large an upload is.

        Raises
        ------
        TileError
            If none of them can be used.
        """
        kind, path, topic = self._what.kind, self._what.path, self._what.image_topic
        frames = count_source_frames(kind, path, topic)
        sizes: list[int] = []
        for frame in islice(source_frames(kind, path, topic), PEEKED_FRAMES):
            if isinstance(frame, Frame):
                # Small frames are dropped in their turn.
                with suppress(TileError):
                    sizes += map(len, encoded_tiles(frame, self._height, self._width, jpeg=self._jpeg))
        if not sizes:
            raise TileError(
                f"none of the first {min(frames, PEEKED_FRAMES)} frames of {path} can be read and is at least"
                f" {self._width}x{self._height} pixels"
            )
        self._peeked_tile_bytes = sum(sizes) / len(sizes)
        self.expected_tiles = round(frames * len(sizes) / min(frames, PEEKED_FRAMES))

    def start(self) -> None:
        """Read on, where it stopped; a camera needs no reading."""
        if self._reader is None and not self._what.is_live:
            self._stop.clear()
            self._reader = threading.Thread(target=self._read, name="reader", daemon=True)
            self._reader.start()

    def stop(self) -> None:
        self._stop.set()
        if self._reader is not None:
            self._reader.join()
            self._reader = None

    def on_image(self, message: Any) -> None:
        """A camera has published an image."""
        stamp = stamp_ns(message)
        # Camera drivers publish each image twice, raw and compressed, under one stamp.
        if stamp and stamp in self._recent_stamps:
            self._node.counters.add("same_stamp")
            return
        self._recent_stamps.append(stamp)
        now_ns = self._node.get_clock().now().nanoseconds
        # A camera without stamps: numbers that another life of this node does not give again, as long as time goes on.
        self._last_number = max(self._last_number + 1, now_ns)
        self._acquire(frame_from(message, self._last_number), stamp or now_ns)

    def take(self, now_s: float) -> list[Tile]:
        """Tiles of the next batch; empty while it is incomplete."""
        with self._lock:
            return self._buffer.take(now_s)

    def counts(self) -> SourceCounts:
        """All counts of one moment: they add up."""
        with self._lock:
            uploaded = self._uploaded_tiles
            return SourceCounts(
                acquired_tiles=self._acquired_tiles,
                waiting_tiles=len(self._buffer),
                dropped=+self._drops,
                ended=self._buffer.ended and not len(self._buffer),
                tile_bytes=self._uploaded_bytes / uploaded if uploaded else self._peeked_tile_bytes,
            )

    # Reading

    def _read(self) -> None:
        what = self._what
        try:
            frames = source_frames(what.kind, what.path, what.image_topic)
            for frame in self._paced(islice(frames, self._frames_read, None)):
                while not self._wants_more() and not self._stop.wait(ROOM_PERIOD_S):
                    pass
                if self._stop.is_set():
                    return
                self._frames_read += 1
                self._acquire(frame, self._node.get_clock().now().nanoseconds)
        except (ValueError, OSError) as error:
            self._node.get_logger().error(f"reading stops: {error}")
            self._drop("source_damaged", 1)
        with self._lock:
            self._buffer.ended = not self._stop.is_set()
        self._on_tiles()

    def _paced(self, frames: Iterable[Frame | UnreadableFrame]) -> Iterable[Frame | UnreadableFrame]:
        """The same frames, each not before its time: recorded times, `rate` times as fast, from the first one on."""
        first_ns = started_s = None
        for frame in frames:
            if self._what.rate > 0.0 and frame.recorded_ns is not None:
                if first_ns is None or started_s is None:
                    first_ns, started_s = frame.recorded_ns, time.monotonic()
                due_s = started_s + (frame.recorded_ns - first_ns) * 1e-9 / self._what.rate
                self._stop.wait(max(0.0, due_s - time.monotonic()))
            yield frame

    def _wants_more(self) -> bool:
        with self._lock:
            return self._buffer.wants_more

    def _acquire(self, frame: Frame | UnreadableFrame, acquired_ns: int) -> None:
        if isinstance(frame, UnreadableFrame):
            self._drop("unreadable_image", 1)
            self._node.get_logger().error(f"frame {frame.number} of {self._name} is unreadable: {frame.reason}")
            return
        try:
            pieces = encoded_tiles(frame, self._height, self._width, jpeg=self._jpeg)
        except TileError as error:
            self._drop("frame_too_small", 1)
            self._node.get_logger().error(f"frame {frame.number} of {self._name}: {error}")
            return
        tiles = [Tile(self._name, frame.number, i, acquired_ns, piece) for i, piece in enumerate(pieces)]
        with self._lock:
            overflow = self._buffer.push(tiles, time.monotonic())
            self._acquired_tiles += len(tiles)
            self._uploaded_tiles += len(tiles)
            self._uploaded_bytes += sum(map(len, pieces))
            self._drops["camera_overflow"] += len(overflow)
        if overflow:
            self._node.counters.add("camera_overflow", len(overflow))
        self._on_tiles()

    def _drop(self, cause: str, tiles: int) -> None:
        self._node.counters.add(cause, tiles)
        with self._lock:
            self._drops[cause] += tiles
            self._acquired_tiles += tiles
        self._on_tiles()
