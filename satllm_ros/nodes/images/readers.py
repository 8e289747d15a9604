"""Frames of a source in the order they are cut in: recorded ones as they are read, a camera's as they were heard."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Protocol

from satllm_ros.data.images.pixels import PixelRules
from satllm_ros.data.manifest import Manifest
from satllm_ros.nodes.images.frames import Frame, SourceKind, UnreadableFrame, frame_from, source_frames
from satllm_ros.nodes.images.intake import Intake

# How soon a reader that waits, for room or for an image, notices that there is some.
ROOM_PERIOD_S = 0.005


class Reader(Protocol):
    """Gives frames to cut, and when each arrived [ns, ROS clock]; None: now."""

    def frames(self) -> Iterator[tuple[Frame | UnreadableFrame, int | None]]: ...


class RecordedReader:
    """A bag or folder, from the first frame that was not read yet; `stop` ends its waits."""

    def __init__(
        self, what: SourceKind, manifest: Manifest, pixels: PixelRules, intake: Intake, stop: threading.Event
    ) -> None:
        self._what, self._manifest, self._pixels = what, manifest, pixels
        self._intake, self._stop = intake, stop

    def all_frames(self) -> Iterator[Frame | UnreadableFrame]:
        """From the first one, as fast as they can be read."""
        return source_frames(self._what, self._manifest, self._pixels)

    def frames(self) -> Iterator[tuple[Frame | UnreadableFrame, int | None]]:
        unread = islice(self.all_frames(), self._intake.frames_read, None)
        return ((frame, None) for frame in self.paced(unread))

    def paced(self, frames: Iterable[Frame | UnreadableFrame]) -> Iterator[Frame | UnreadableFrame]:
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


class CameraReader:
    """What was heard of a camera, until `stop`, or `is_over` and nothing is left."""

    def __init__(self, pixels: PixelRules, intake: Intake, stop: threading.Event, is_over: Callable[[], bool]) -> None:
        self._pixels, self._intake, self._stop, self._is_over = pixels, intake, stop, is_over

    def frames(self) -> Iterator[tuple[Frame | UnreadableFrame, int | None]]:
        while not self._stop.is_set():
            heard = self._intake.pop()
            if heard is not None:
                yield frame_from(heard.message, heard.origin, self._pixels), heard.arrival_ns
            elif self._is_over() and not self._intake.has_uncut:
                return
            else:
                self._stop.wait(ROOM_PERIOD_S)
