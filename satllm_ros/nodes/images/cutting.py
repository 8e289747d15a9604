"""From frames to tiles: what cannot be cut is dropped, counted by cause, named in the log and in the journal's rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from sensor_msgs.msg import CompressedImage

from satllm_ros.acquisition.stamps import Acquisition
from satllm_ros.data.images.pixels import PixelRules
from satllm_ros.data.tiles import Tile, TileError, grid, picture_size
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.images.frames import CHANGED, Frame, Origin, UnreadableFrame, encoded_tiles
from satllm_ros.nodes.images.intake import Intake
from satllm_ros.storage.frame_journal import FrameRow, KnownFrame

# Lost images that are named in the log one by one, by cause.
LINES_A_CAUSE = 5
# A frame that claims more tiles than this has a forged size.
MAX_FRAME_TILES = 1_000_000


class Cutting:
    """Cuts frames of one source into tiles of one size, for an intake.

    Parameters
    ----------
    known
        Frames that earlier lives read, by number: one that has changed since is dropped.
    on_tiles
        Called after tiles were added, or dropped, from the thread that did so.
    """

    def __init__(
        self,
        node: FlightNode,
        source_id: str,
        intake: Intake,
        known: Mapping[int, KnownFrame],
        *,
        height: int,
        width: int,
        jpeg: bool,
        on_tiles: Callable[[], None],
    ) -> None:
        self._node, self._source_id, self._intake, self._known = node, source_id, intake, known
        self._height, self._width, self._jpeg = height, width, jpeg
        self._on_tiles = on_tiles
        self._acquisition = Acquisition()
        # Images lost by cause, for the log.
        self._lines: Counter[str] = Counter()

    def pieces(self, frame: Frame | UnreadableFrame) -> tuple[list[bytes], str]:
        """Tiles of a frame as they are sent; or none, and why."""
        if isinstance(frame, UnreadableFrame):
            named = frame.origin.name in frame.reason
            return [], frame.reason if named else f"{frame.origin.name}: {frame.reason}"
        try:
            return encoded_tiles(frame, self._height, self._width, jpeg=self._jpeg), ""
        except TileError as error:
            return [], f"{frame.origin.name}: {error}"

    def claimed_tiles(self, message: Any, pixels: PixelRules) -> int:
        """Tiles that a camera's image will be cut into, by what it says of its size; 1 if that makes no sense."""
        if pixels.resize is not None:
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

    def acquire(self, frame: Frame | UnreadableFrame, arrival_ns: int) -> None:
        """Cut a frame that arrived then [ns, ROS clock]."""
        origin = frame.origin
        known = self._known.get(origin.number)
        if origin.digest and known is not None and known.digest not in ("", origin.digest):
            self.lose(
                origin,
                CHANGED,
                "its content is not what it was when this run first read it; what of it came down before stays",
                arrival_ns,
            )
            return
        if isinstance(frame, UnreadableFrame):
            self.lose(frame.origin, frame.cause, frame.reason, arrival_ns)
            return
        height, width = frame.rgb.shape[:2]
        try:
            pieces = encoded_tiles(frame, self._height, self._width, jpeg=self._jpeg)
        except TileError as error:
            self.lose(origin, "frame_too_small", str(error), arrival_ns, (height, width))
            return
        acquired_ns = self._acquisition.of(origin.stamp_ns, arrival_ns)
        tiles = [Tile(self._source_id, origin.number, i, acquired_ns, piece) for i, piece in enumerate(pieces)]
        row = self._row(origin, arrival_ns, len(tiles), (height, width), "")
        self._intake.add(tiles, row)
        self._on_tiles()

    def lose(self, origin: Origin, cause: str, reason: str, arrival_ns: int, size: tuple[int, int] = (0, 0)) -> None:
        """Drop a frame for what is wrong with it, and name it."""
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
        self.drop(origin, cause, arrival_ns, known.tiles if known is not None else 1, size)

    def drop(self, origin: Origin, cause: str, arrival_ns: int, tiles: int, size: tuple[int, int] = (0, 0)) -> None:
        """Count a frame of so many tiles as dropped; `size`: its height and width [pixel], where they are known."""
        self._node.counters.add(cause, tiles)
        self._intake.drop(self._row(origin, arrival_ns, tiles, size, cause), in_hand=cause != "camera_overflow")
        self._on_tiles()

    def _row(self, origin: Origin, arrival_ns: int, tiles: int, size: tuple[int, int], cause: str) -> FrameRow:
        return FrameRow(
            source_id=self._source_id,
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
