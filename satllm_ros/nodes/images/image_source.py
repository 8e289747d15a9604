"""Images in: a bag, a folder or a camera, as tiles that wait for a batch.

One thread reads and cuts, whatever the source: a bag or folder as fast as custody has room, never faster; a camera from
the queue of what was heard. Nothing is heard, cut or dropped without a row in sensing's journal.
"""

# long: to be split: sources that are read, and what is cut from them

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sensor_msgs.msg import CompressedImage

from satllm_ros.acquisition.source_buffer import FrameQueue, SourceBuffer
from satllm_ros.acquisition.source_identity import CameraIdentity
from satllm_ros.acquisition.stamps import Acquisition
from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules
from satllm_ros.data.manifest import Manifest
from satllm_ros.data.tiles import Tile, TileError, grid, picture_size
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.images.frames import (
    CHANGED,
    UNREADABLE,
    Frame,
    Origin,
    SourceKind,
    UnreadableFrame,
    encoded_tiles,
    frame_from,
    source_frames,
    stamp_of,
)
from satllm_ros.storage.frame_journal import FrameJournal, FrameRow

# Frames looked at before the run, for the size of an upload that the planner needs.
PEEKED_FRAMES = 20
# How often a search for the first usable frame of a large source is spoken of.
SEARCH_PERIOD_S = 5.0
# How soon a reader that waits, for room or for an image, notices that there is some.
ROOM_PERIOD_S = 0.005
# Lost images that are named in the log one by one, by cause.
LINES_A_CAUSE = 5
# A frame that claims more tiles than this has a forged size.
MAX_FRAME_TILES = 1_000_000


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
class _Heard:
    """An image of a camera that waits to be cut."""

    origin: Origin
    message: Any
    arrival_ns: int


class ImageSource:
    """Tiles of frames, in order, and counts of all that was acquired and dropped.

    Parameters
    ----------
    journal
        Takes a row of every frame before its tiles are given out, and knows the contents that earlier lives read: a
        frame that has changed since is dropped.
    manifest
        What a folder or bag holds; None for a camera.
    pixels
        How samples become RGB where the images do not declare it.
    camera_tiles
        Tiles of a camera's frames that may wait to be cut; beyond, the oldest frames are dropped, whole.
    expected_frames
        Frames that a camera's topic will bring, if somebody knows; else 0.
    on_tiles
        Called after tiles were added, or the end was reached, from the thread that did so.
    """

    def __init__(
        self,
        node: FlightNode,
        what: SourceKind,
        source_id: str,
        buffer: SourceBuffer[Tile],
        *,
        height: int,
        width: int,
        jpeg: bool,
        on_tiles: Callable[[], None],
        journal: FrameJournal,
        manifest: Manifest | None = None,
        camera_tiles: int = 1,
        expected_frames: int = 0,
        pixels: PixelRules = AS_DECLARED,
    ) -> None:
        self._node = node
        self._what = what
        self.source_id = source_id
        self._manifest = manifest
        self._frames_total = manifest.frames if manifest is not None else expected_frames
        # A camera has no end, unless somebody says so.
        self._is_over = not what.is_live
        self._buffer = buffer
        self._height, self._width, self._jpeg = height, width, jpeg
        self._on_tiles = on_tiles
        self._pixels = pixels
        self._journal = journal
        self._known = {} if manifest is None else journal.known(source_id)
        self._lock = threading.Lock()
        self._queue: FrameQueue[_Heard] = FrameQueue(camera_tiles)
        self._acquisition = Acquisition()
        self._reader: threading.Thread | None = None
        self._stop = threading.Event()
        self._frames_read = 0
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
        # Images lost by cause, for the log.
        self._lines: Counter[str] = Counter()
        self._rows: list[FrameRow] = []

    def peek(self) -> None:
        """Look at the first frames of a bag or folder: how many tiles there will be, and how large an upload is.

        Raises
        ------
        TileError
            If no frame of the whole source can be used; the message has the first one's own reason.
        """
        sizes: list[int] = []
        usable = looked = 0
        reason = ""
        told_s = time.monotonic()
        for looked, frame in enumerate(self._frames(), start=1):
            pieces, why = self._pieces(frame)
            reason = reason or why
            usable += bool(pieces)
            sizes += map(len, pieces)
            if looked >= PEEKED_FRAMES and sizes:
                break
            if time.monotonic() - told_s > SEARCH_PERIOD_S:
                told_s = time.monotonic()
                self._node.get_logger().warning(
                    f"none of the first {looked} images of {self._path} can be used: {reason}"
                )
        if not sizes:
            raise TileError(
                f"none of the {looked} images of {self._path} can be used; the first one: {reason or 'there is none'}"
            )
        self._peeked_tile_bytes = sum(sizes) / len(sizes)
        self._peeked_frame_tiles = len(sizes) / usable

    def start(self) -> None:
        """Read on, where it stopped."""
        if self._reader is None:
            self._stop.clear()
            self._reader = threading.Thread(target=self._read, name="reader", daemon=True)
            self._reader.start()

    def stop(self) -> None:
        self._stop.set()
        if self._reader is not None:
            self._reader.join()
            self._reader = None

    def on_image(self, message: Any, identity: CameraIdentity, topic: str) -> None:
        """A camera has published an image."""
        arrival_ns = self._node.get_clock().now().nanoseconds
        number = identity.next()
        origin = Origin(number, topic, stamp_of(message))
        tiles = self._claimed_tiles(message)
        with self._lock:
            dropped = self._queue.push(_Heard(origin, message, arrival_ns), tiles)
        for lost, lost_tiles in dropped:
            self._drop(lost.origin, "camera_overflow", lost.arrival_ns, lost_tiles)
        if dropped:
            # Said once in a while: at 30 images a second every line would be one too many.
            self._node.get_logger().warning(self._overflow_sentence(tiles), throttle_duration_sec=10.0)

    def end(self) -> None:
        """No further image of a camera will come: what was heard is the whole."""
        self._is_over = True

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
        """Frames of a bag or folder, as its manifest has them, or of a bag that is played; None of a camera."""
        return max(self._frames_total, self._frames_read) if self._frames_total else None

    # Reading

    def _expected_tiles(self) -> int:
        if not self._frames_total:
            return 0
        per_frame = self._cut_tiles / self._cut_frames if self._cut_frames else self._peeked_frame_tiles
        left = 0 if self._buffer.ended else max(0, self._frames_total - self._frames_read)
        return self._cut_tiles + round(left * per_frame)

    @property
    def _path(self) -> str:
        return str(self._what.path)

    def _overflow_sentence(self, tiles: int) -> str:
        with self._lock:
            dropped, taken = self._drops["camera_overflow"], self._taken_tiles
        sentence = f"the camera is faster than the chain: {dropped} tiles dropped so far, by whole images, oldest first"
        if self._first_taken_s is None or not taken:
            return f"{sentence}; nothing flies yet"
        per_s = taken / max(time.monotonic() - self._first_taken_s, 1e-3)
        return f"{sentence}; it takes {per_s:.1f} tiles/s, so {per_s / tiles:.2g} images/s of {tiles} tiles would do"

    def _frames(self) -> Iterator[Frame | UnreadableFrame]:
        assert self._manifest is not None
        return source_frames(self._what, self._manifest, self._pixels)

    def _pieces(self, frame: Frame | UnreadableFrame) -> tuple[list[bytes], str]:
        """Tiles of a frame as they are sent; or none, and why."""
        if isinstance(frame, UnreadableFrame):
            named = frame.origin.name in frame.reason
            return [], frame.reason if named else f"{frame.origin.name}: {frame.reason}"
        try:
            return encoded_tiles(frame, self._height, self._width, jpeg=self._jpeg), ""
        except TileError as error:
            return [], f"{frame.origin.name}: {error}"

    def _read(self) -> None:
        try:
            for frame, arrival_ns in self._arriving():
                while not self._wants_more() and not self._stop.wait(ROOM_PERIOD_S):
                    pass
                # A camera's image is in no other place any more.
                if self._stop.is_set() and not self._what.is_live:
                    return
                self._frames_read += 1
                arrived_ns = arrival_ns or self._node.get_clock().now().nanoseconds
                # Whatever is wrong with one image costs that image.
                try:
                    self._acquire(frame, arrived_ns)
                except Exception as error:  # noqa: BLE001
                    self._lose(frame.origin, UNREADABLE, repr(error), arrived_ns)
        # A reader that ends without a word would be waited for, for ever.
        except Exception as error:  # noqa: BLE001
            reason = str(error) if isinstance(error, ValueError | OSError) else traceback.format_exc()
            self._node.get_logger().error(f"reading stops: {reason}")
            self._drop(
                Origin(self._frames_read + 1, self._path), "source_damaged", self._node.get_clock().now().nanoseconds, 1
            )
        with self._lock:
            self._buffer.ended = not self._stop.is_set() and self._is_over
        self._on_tiles()

    def _arriving(self) -> Iterator[tuple[Frame | UnreadableFrame, int | None]]:
        """Frames to cut, and when each arrived [ns]; None: now."""
        if not self._what.is_live:
            yield from ((frame, None) for frame in self._paced(islice(self._frames(), self._frames_read, None)))
            return
        while not self._stop.is_set():
            # Taken only when there is room: what waits is dropped whole, before anybody has worked on it.
            with self._lock:
                waiting = self._queue.pop() if self._buffer.wants_more else None
                self._in_hand_tiles = waiting[1] if waiting is not None else 0
            if waiting is None and self._is_over and not self._queue.tiles:
                return
            if waiting is None:
                self._stop.wait(ROOM_PERIOD_S)
            else:
                heard = waiting[0]
                yield frame_from(heard.message, heard.origin, self._pixels), heard.arrival_ns

    def _paced(self, frames: Iterable[Frame | UnreadableFrame]) -> Iterator[Frame | UnreadableFrame]:
        """The same frames, each not before its time: recorded times, `rate` times as fast, from the first one on."""
        first_ns = started_s = None
        for frame in frames:
            recorded_ns = frame.origin.recorded_ns
            if self._what.rate > 0.0 and recorded_ns is not None:
                if first_ns is None or started_s is None:
                    first_ns, started_s = recorded_ns, time.monotonic()
                due_s = started_s + (recorded_ns - first_ns) * 1e-9 / self._what.rate
                self._stop.wait(max(0.0, due_s - time.monotonic()))
            yield frame

    def _wants_more(self) -> bool:
        with self._lock:
            return self._buffer.wants_more

    def _claimed_tiles(self, message: Any) -> int:
        """Tiles that a camera's image will be cut into, by what it says of its size; 1 if that makes no sense."""
        if self._pixels.resize is not None:
            return 1
        with suppress(TileError):
            if isinstance(message, CompressedImage):
                height, width = picture_size(bytes(message.data))
            else:
                height, width = message.height, message.width
                if height * width > len(message.data):
                    return 1
            return min(MAX_FRAME_TILES, len(grid(height, width, self._height, self._width)))
        return 1

    def _acquire(self, frame: Frame | UnreadableFrame, arrival_ns: int) -> None:
        origin = frame.origin
        known = self._known.get(origin.number)
        if origin.digest and known is not None and known.digest not in ("", origin.digest):
            self._lose(
                origin,
                CHANGED,
                "its content is not what it was when this run first read it; what of it came down before stays",
                arrival_ns,
            )
            return
        if isinstance(frame, UnreadableFrame):
            self._lose(frame.origin, frame.cause, frame.reason, arrival_ns)
            return
        height, width = frame.rgb.shape[:2]
        try:
            pieces = encoded_tiles(frame, self._height, self._width, jpeg=self._jpeg)
        except TileError as error:
            self._lose(origin, "frame_too_small", str(error), arrival_ns, (height, width))
            return
        acquired_ns = self._acquisition.of(origin.stamp_ns, arrival_ns)
        tiles = [Tile(self.source_id, origin.number, i, acquired_ns, piece) for i, piece in enumerate(pieces)]
        row = self._row(origin, arrival_ns, len(tiles), (height, width), "")
        with self._lock:
            self._rows.append(row)
            self._buffer.push(tiles, time.monotonic())
            self._in_hand_tiles = 0
            self._cut_tiles += len(tiles)
            self._cut_frames += 1
            self._uploaded_bytes += sum(map(len, pieces))
        self._on_tiles()

    def _lose(self, origin: Origin, cause: str, reason: str, arrival_ns: int, size: tuple[int, int] = (0, 0)) -> None:
        self._lines[cause] += 1
        if self._lines[cause] <= LINES_A_CAUSE:
            self._node.get_logger().error(f"image {origin.name} is dropped ({cause}): {reason}")
        else:
            # Every image has its row in the journal; nobody reads a line for each of thousands.
            self._node.get_logger().error(
                f"{self._lines[cause]} images dropped ({cause}) so far, the last one {origin.name}: {reason}",
                throttle_duration_sec=10.0,
            )
        # As many as an earlier life cut it into: of these some may have come down.
        known = self._known.get(origin.number)
        self._drop(origin, cause, arrival_ns, known.tiles if known is not None else 1, size)

    def _drop(self, origin: Origin, cause: str, arrival_ns: int, tiles: int, size: tuple[int, int] = (0, 0)) -> None:
        self._node.counters.add(cause, tiles)
        row = self._row(origin, arrival_ns, tiles, size, cause)
        with self._lock:
            self._rows.append(row)
            self._drops[cause] += tiles
            if cause != "camera_overflow":
                self._in_hand_tiles = 0
        self._on_tiles()

    def _row(self, origin: Origin, arrival_ns: int, tiles: int, size: tuple[int, int], cause: str) -> FrameRow:
        return FrameRow(
            source_id=self.source_id,
            frame=origin.number,
            name=origin.name,
            height=size[0],
            width=size[1],
            tiles=tiles,
            stamp_ns=origin.stamp_ns,
            arrival_ns=arrival_ns,
            digest=origin.digest,
            cause=cause,
        )
