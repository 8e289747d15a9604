"""Images in: a bag, a folder or a camera, as tiles that wait for a batch.

One thread reads and cuts, whatever the source: a bag or folder as fast as custody has room, never faster; a camera from
the queue of what was heard. Nothing is heard, cut or dropped without a row in sensing's journal.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from satllm_ros.acquisition.source_buffer import SourceBuffer
from satllm_ros.acquisition.source_identity import CameraIdentity
from satllm_ros.data.images.pixels import PixelRules
from satllm_ros.data.manifest import Manifest
from satllm_ros.data.tiles import Tile, TileError
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.images.cutting import Cutting
from satllm_ros.nodes.images.frames import UNREADABLE, Origin, SourceKind, stamp_of
from satllm_ros.nodes.images.intake import Heard, Intake, SourceCounts
from satllm_ros.nodes.images.readers import ROOM_PERIOD_S, CameraReader, Reader, RecordedReader
from satllm_ros.storage.frame_journal import FrameJournal

# Frames looked at before the run, for the size of an upload that the planner needs.
PEEKED_FRAMES = 20
# How often a search for the first usable frame of a large source is spoken of.
SEARCH_PERIOD_S = 5.0


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
        manifest: Manifest | None,
        camera_tiles: int,
        expected_frames: int,
        pixels: PixelRules,
    ) -> None:
        self._node, self._what, self._pixels = node, what, pixels
        self.source_id = source_id
        # A camera has no end, unless somebody says so.
        self._is_over = not what.is_live
        self._on_tiles = on_tiles
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._intake = Intake(
            buffer,
            journal,
            camera_tiles=camera_tiles,
            frames_total=manifest.frames if manifest is not None else expected_frames,
        )
        self._cutting = Cutting(
            node,
            source_id,
            self._intake,
            {} if manifest is None else journal.known(source_id),
            height=height,
            width=width,
            jpeg=jpeg,
            on_tiles=on_tiles,
        )
        self._recorded = (
            RecordedReader(what, manifest, pixels, self._intake, self._stop) if manifest is not None else None
        )
        self._reader: Reader = self._recorded or CameraReader(pixels, self._intake, self._stop, lambda: self._is_over)

    def peek(self) -> None:
        """Look at the first frames of a bag or folder: how many tiles there will be, and how large an upload is.

        Raises
        ------
        TileError
            If no frame of the whole source can be used; the message has the first one's own reason.
        """
        assert self._recorded is not None, "a camera's images are not there beforehand"
        sizes: list[int] = []
        usable = looked = 0
        reason = ""
        told_s = time.monotonic()
        for looked, frame in enumerate(self._recorded.all_frames(), start=1):
            pieces, why = self._cutting.pieces(frame)
            reason = reason or why
            usable += bool(pieces)
            sizes += map(len, pieces)
            if looked >= PEEKED_FRAMES and sizes:
                break
            if time.monotonic() - told_s > SEARCH_PERIOD_S:
                told_s = time.monotonic()
                self._node.get_logger().warning(
                    f"none of the first {looked} images of {self._what.path} can be used: {reason}"
                )
        if not sizes:
            raise TileError(
                f"none of the {looked} images of {self._what.path} can be used; the first one:"
                f" {reason or 'there is none'}"
            )
        self._intake.expect(sum(sizes) / len(sizes), len(sizes) / usable)

    def start(self) -> None:
        """Read on, where it stopped."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._read, name="reader", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def on_image(self, message: Any, identity: CameraIdentity, topic: str) -> None:
        """A camera has published an image."""
        arrival_ns = self._now_ns()
        number = identity.next()
        origin = Origin(number, topic, stamp_of(message))
        tiles = self._cutting.claimed_tiles(message, self._pixels)
        dropped = self._intake.push(Heard(origin, message, arrival_ns), tiles)
        for lost, lost_tiles in dropped:
            self._cutting.drop(lost.origin, "camera_overflow", lost.arrival_ns, lost_tiles)
        if dropped:
            # Said once in a while: at 30 images a second every line would be one too many.
            self._node.get_logger().warning(self._intake.overflow_sentence(tiles), throttle_duration_sec=10.0)

    def end(self) -> None:
        """No further image of a camera will come: what was heard is the whole."""
        self._is_over = True

    @property
    def is_over(self) -> bool:
        """Whether no further image comes beside what is recorded or was heard."""
        return self._is_over

    def take(self, now_s: float) -> list[Tile]:
        """As `Intake.take`."""
        return self._intake.take(now_s)

    def note_frames(self) -> None:
        """As `Intake.note_frames`."""
        self._intake.note_frames()

    def counts(self) -> SourceCounts:
        """All counts of one moment: they add up."""
        return self._intake.counts()

    @property
    def frames_total(self) -> int | None:
        """Frames of a bag or folder, as its manifest has them, or of a bag that is played; None of a camera."""
        return self._intake.frames_total

    def _read(self) -> None:
        try:
            for frame, arrival_ns in self._reader.frames():
                while not self._intake.wants_more and not self._stop.wait(ROOM_PERIOD_S):
                    pass
                # A camera's image is in no other place any more.
                if self._stop.is_set() and not self._what.is_live:
                    return
                self._intake.frames_read += 1
                arrived_ns = arrival_ns or self._now_ns()
                # Whatever is wrong with one image costs that image.
                try:
                    self._cutting.acquire(frame, arrived_ns)
                except Exception as error:  # noqa: BLE001
                    self._cutting.lose(frame.origin, UNREADABLE, repr(error), arrived_ns)
        # A reader that ends without a word would be waited for, for ever.
        except Exception as error:  # noqa: BLE001
            reason = str(error) if isinstance(error, ValueError | OSError) else traceback.format_exc()
            self._node.get_logger().error(f"reading stops: {reason}")
            origin = Origin(self._intake.frames_read + 1, str(self._what.path))
            self._cutting.drop(origin, "source_damaged", self._now_ns(), 1)
        self._intake.end(not self._stop.is_set() and self._is_over)
        self._on_tiles()

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds
