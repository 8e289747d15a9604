"""Images in: what is counted, what waits, what a restart or a stop leaves."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
from sensor_msgs.msg import CompressedImage

from satllm_ros.nodes.base import FlightNode
from satllm_ros.nodes.frames import UnreadableFrame
from satllm_ros.nodes.image_source import ImageSource, SourceKind
from satllm_ros.runtime.source_buffer import SourceBuffer
from satllm_ros.runtime.tiles import Tile, TileError

SIDE = 8
PATIENCE_S = 20.0


def jpeg(value: int = 0, side: int = SIDE) -> bytes:
    return cv2.imencode(".jpg", np.full((side, side, 3), value, np.uint8))[1].tobytes()


class Source:
    """A source whose tiles are taken batch by batch, as sensing does."""

    def __init__(self, node: FlightNode, what: SourceKind, *, live_tiles: int | None = None) -> None:
        self.told = threading.Event()
        buffer: SourceBuffer[Tile] = SourceBuffer(2, live_tiles=live_tiles, flush_s=3600.0)
        self.source = ImageSource(
            node, what, "images", buffer, height=SIDE, width=SIDE, jpeg=True, on_tiles=self.told.set
        )

    def take_all(self) -> list[Tile]:
        """Read to the end."""
        taken: list[Tile] = []
        deadline_s = time.monotonic() + PATIENCE_S
        while not self.source.counts().ended:
            assert time.monotonic() < deadline_s
            taken += self.source.take(time.monotonic())
            self.told.wait(0.01)
        return taken


@pytest.fixture
def node(context: rclpy.Context) -> Iterator[FlightNode]:
    made = FlightNode("probe", context=context)
    yield made
    made.destroy_node()


def folder_of(path: Path, *contents: bytes) -> SourceKind:
    for place, content in enumerate(contents):
        (path / f"{place}.jpg").write_bytes(content)
    return SourceKind("folder", path, "", 0.0)


def photograph(source: ImageSource, stamp_s: int, content: bytes | None = None) -> None:
    image = CompressedImage(format="jpeg", data=content or jpeg())
    image.header.stamp.sec = stamp_s
    source.on_image(image)


def test_every_frame_is_given_out_or_counted(node: FlightNode, tmp_path: Path) -> None:
    made = Source(node, folder_of(tmp_path, jpeg(1), b"no image", jpeg(2), jpeg(3, side=4), jpeg(4)))
    made.source.peek()
    made.source.start()
    tiles = made.take_all()
    made.source.stop()
    counts = made.source.counts()

    assert [tile.frame for tile in tiles] == [1, 3, 5]
    assert counts.dropped == {"unreadable_image": 1, "frame_too_small": 1}
    assert counts.acquired_tiles == 5 and counts.waiting_tiles == 0
    assert made.source.expected_tiles == 3
    assert counts.tile_bytes == pytest.approx(sum(len(tile.data) for tile in tiles) / 3)


def test_a_reader_waits_for_room_and_goes_on_where_it_was_stopped(node: FlightNode, tmp_path: Path) -> None:
    made = Source(node, folder_of(tmp_path, *(jpeg(value) for value in range(7))))
    made.source.start()
    deadline_s = time.monotonic() + PATIENCE_S
    while made.source.counts().waiting_tiles < 2:
        assert time.monotonic() < deadline_s
    made.source.stop()
    # One batch ahead, never more.
    assert made.source.counts().acquired_tiles == 2
    made.source.start()
    assert [tile.frame for tile in made.take_all()] == [1, 2, 3, 4, 5, 6, 7]
    made.source.stop()


def test_a_folder_without_a_usable_image_is_refused(node: FlightNode, tmp_path: Path) -> None:
    made = Source(node, folder_of(tmp_path, b"no image", jpeg(side=4)))
    with pytest.raises(TileError, match="none of the first 2 frames"):
        made.source.peek()


def test_a_camera_that_outruns_the_chain_loses_its_oldest(node: FlightNode) -> None:
    made = Source(node, SourceKind("topic", Path(), "", 0.0), live_tiles=3)
    for stamp_s in range(1, 6):
        photograph(made.source, stamp_s)
    counts = made.source.counts()

    assert counts.dropped == {"camera_overflow": 2}
    assert counts.acquired_tiles == 5 and counts.waiting_tiles == 3
    assert [tile.frame // 10**9 for tile in made.source.take(time.monotonic())] == [3, 4]


def test_a_camera_that_publishes_each_image_twice_is_heard_once(node: FlightNode) -> None:
    made = Source(node, SourceKind("topic", Path(), "", 0.0), live_tiles=9)
    photograph(made.source, 5)
    photograph(made.source, 5)

    assert made.source.counts().acquired_tiles == 1
    assert node.counters["same_stamp"] == 1


def test_a_camera_without_stamps_gets_numbers_that_no_other_life_gives(node: FlightNode) -> None:
    numbers = []
    for _ in range(2):
        made = Source(node, SourceKind("topic", Path(), "", 0.0), live_tiles=9)
        for _ in range(2):
            photograph(made.source, 0)
        numbers += [tile.frame for tile in made.source.take(time.monotonic())]

    assert len(set(numbers)) == 4 and numbers == sorted(numbers)


def test_a_bag_is_replayed_at_a_rate_of_its_recorded_times(
    node: FlightNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Source(node, SourceKind("bag", tmp_path, "", 1000.0))
    waits: list[float] = []
    monkeypatch.setattr(made.source._stop, "wait", lambda seconds: bool(waits.append(seconds)))
    monkeypatch.setattr(time, "monotonic", lambda: 50.0)
    times_ns = [7 * 10**9, 9 * 10**9, 12 * 10**9]
    frames = list(made.source._paced(UnreadableFrame(n, "", time_ns) for n, time_ns in enumerate(times_ns)))

    assert [frame.number for frame in frames] == [0, 1, 2]
    assert waits == pytest.approx([0.0, 0.002, 0.005])
