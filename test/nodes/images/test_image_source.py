"""Images in: what is counted, what waits, what a restart or a stop leaves."""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
from sensor_msgs.msg import CompressedImage, Image

from satllm_ros.acquisition.source_buffer import SourceBuffer
from satllm_ros.acquisition.source_identity import CameraIdentity
from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules
from satllm_ros.data.manifest import Manifest
from satllm_ros.data.sources import take_manifest
from satllm_ros.data.tiles import Tile, TileError
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.images import readers
from satllm_ros.nodes.images.frames import Origin, SourceKind, UnreadableFrame
from satllm_ros.nodes.images.image_source import ImageSource
from satllm_ros.storage.frame_journal import JOURNAL_NAME, FrameJournal, FrameRow, read_journal

SIDE = 8
PATIENCE_S = 120.0
CAMERA = SourceKind("topic", Path())


def jpeg(value: int = 0, side: int = SIDE) -> bytes:
    return cv2.imencode(".jpg", np.full((side, side, 3), value, np.uint8))[1].tobytes()


class Source:
    """A source whose tiles are taken batch by batch, as sensing does."""

    def __init__(
        self,
        node: FlightNode,
        what: SourceKind,
        folder: Path,
        *,
        manifest: Manifest | None = None,
        camera_tiles: int = 9,
        batch_tiles: int = 2,
        pixels: PixelRules = AS_DECLARED,
    ) -> None:
        self.told = threading.Event()
        self.journal_path = folder / "journal" / JOURNAL_NAME
        self.identity = CameraIdentity(7)
        if manifest is None and not what.is_live:
            manifest = take_manifest(what.kind, what.path, "")
        self.source = ImageSource(
            node,
            what,
            self.identity.source_id if manifest is None else manifest.source_id,
            SourceBuffer(batch_tiles, flush_s=0.0 if what.is_live else None),
            height=SIDE,
            width=SIDE,
            jpeg=True,
            on_tiles=self.told.set,
            journal=FrameJournal(self.journal_path, run_id=1),
            manifest=manifest,
            camera_tiles=camera_tiles,
            expected_frames=0,
            pixels=pixels,
        )

    def take_all(self) -> list[Tile]:
        """Read to the end."""
        taken: list[Tile] = []
        self.source.start()
        self.until(lambda: taken.extend(self.source.take(time.monotonic())) or self.source.counts().ended)
        self.source.stop()
        return taken

    def take_frames(self, tiles: int) -> list[int]:
        """Frames of so many tiles of a camera."""
        taken: list[Tile] = []
        self.source.start()
        self.until(lambda: taken.extend(self.source.take(time.monotonic())) or len(taken) >= tiles)
        self.source.stop()
        assert len(taken) == tiles
        return [tile.frame for tile in taken]

    def until(self, condition: Any) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s
            # Not without a pause: the reader needs the lock too.
            self.told.wait(0.01)
            self.told.clear()

    def photograph(self, stamp_s: int, content: Any = None, topic: str = "/image/compressed") -> None:
        image = CompressedImage(format="jpeg", data=jpeg(stamp_s % 250)) if content is None else content
        image.header.stamp.sec = stamp_s
        self.source.on_image(image, self.identity, topic)

    @property
    def rows(self) -> list[FrameRow]:
        self.source.note_frames()
        return list(read_journal(self.journal_path).rows)


@pytest.fixture
def node(context: rclpy.Context) -> Iterator[FlightNode]:
    made = FlightNode("probe", context=context)
    yield made
    made.destroy_node()


def folder_of(path: Path, *contents: bytes) -> SourceKind:
    folder = path / "images"
    folder.mkdir(exist_ok=True)
    for place, content in enumerate(contents):
        (folder / f"{place}.jpg").write_bytes(content)
    return SourceKind("folder", folder)


def test_every_frame_is_given_out_or_counted(node: FlightNode, tmp_path: Path) -> None:
    what = folder_of(tmp_path, jpeg(1), b"no image", jpeg(2), jpeg(3, side=4), jpeg(4))
    made = Source(node, what, tmp_path)
    made.source.peek()
    assert made.source.counts().expected_tiles == 5
    tiles = made.take_all()
    counts = made.source.counts()

    assert [tile.frame for tile in tiles] == [1, 3, 5]
    assert counts.dropped == {"unreadable_image": 1, "frame_too_small": 1}
    assert counts.acquired_tiles == 5 and counts.waiting_tiles == 0
    assert counts.expected_tiles == 3
    assert counts.tile_bytes == pytest.approx(sum(len(tile.data) for tile in tiles) / 3)
    causes = ["", "unreadable_image", "", "frame_too_small", ""]
    assert [(row.frame, row.name, row.cause) for row in made.rows] == [
        (place + 1, f"{place}.jpg", cause) for place, cause in enumerate(causes)
    ]
    assert (made.rows[0].height, made.rows[0].width, made.rows[0].tiles) == (SIDE, SIDE, 1)


def test_a_file_that_cannot_be_read_costs_that_file(node: FlightNode, tmp_path: Path) -> None:
    what = folder_of(tmp_path, *(jpeg(value) for value in range(5)))
    made = Source(node, what, tmp_path)
    (what.path / "1.jpg").unlink()
    (what.path / "3.jpg").unlink()
    # Reading it is an I/O error.
    (what.path / "3.jpg").mkdir()
    assert [tile.frame for tile in made.take_all()] == [1, 3, 5]
    assert made.source.counts().dropped == {"unreadable_image": 2}
    assert [row.name for row in made.rows if row.cause] == ["1.jpg", "3.jpg"]


def test_files_keep_their_numbers_when_others_come_and_go(node: FlightNode, tmp_path: Path) -> None:
    what = folder_of(tmp_path, *(jpeg(10 * value) for value in range(4)))
    manifest = take_manifest("folder", what.path, "")
    first = Source(node, what, tmp_path, manifest=manifest).take_all()
    (what.path / "0.jpg").unlink()
    (what.path / "00.jpg").write_bytes(jpeg(200))
    second = Source(node, what, tmp_path, manifest=manifest).take_all()
    by_frame = {tile.frame: tile.data for tile in first}
    assert [tile.frame for tile in second] == [2, 3, 4]
    assert all(tile.data == by_frame[tile.frame] and tile.source_id == manifest.source_id for tile in second)


def test_a_file_whose_content_changed_between_two_lives_is_dropped(node: FlightNode, tmp_path: Path) -> None:
    what = folder_of(tmp_path, jpeg(1), jpeg(2), jpeg(3))
    manifest = take_manifest("folder", what.path, "")
    Source(node, what, tmp_path, manifest=manifest).take_all()
    # Of the same size: what follows the end of a JPEG file is not looked at.
    content = jpeg(3)
    (what.path / "1.jpg").write_bytes(content + bytes(len(jpeg(2)) - len(content)))
    for _ in range(2):
        # A third life must not take the new content for the first one.
        later = Source(node, what, tmp_path, manifest=manifest)
        assert [tile.frame for tile in later.take_all()] == [1, 3]
        assert later.source.counts().dropped == {"source_changed": 1}
        later.source.note_frames()


def test_a_file_that_changes_before_it_is_first_read_is_dropped(node: FlightNode, tmp_path: Path) -> None:
    what = folder_of(tmp_path, jpeg(1), jpeg(2), jpeg(3))
    made = Source(node, what, tmp_path)
    (what.path / "1.jpg").write_bytes(jpeg(2) + b"more")
    assert [tile.frame for tile in made.take_all()] == [1, 3]
    assert made.source.counts().dropped == {"source_changed": 1}


def test_tiles_of_an_image_that_is_gone_when_it_is_read_again_are_counted(node: FlightNode, tmp_path: Path) -> None:
    what = folder_of(tmp_path, jpeg(1, side=2 * SIDE), jpeg(2))
    manifest = take_manifest("folder", what.path, "")
    assert len(Source(node, what, tmp_path, manifest=manifest).take_all()) == 5
    (what.path / "0.jpg").unlink()
    second = Source(node, what, tmp_path, manifest=manifest)
    assert len(second.take_all()) == 1
    assert second.source.counts().dropped == {"unreadable_image": 4} and second.source.counts().acquired_tiles == 5
    assert [(row.tiles, row.height, row.cause) for row in second.rows] == [
        (4, 2 * SIDE, "unreadable_image"),
        (1, SIDE, ""),
    ]


def test_names_that_are_no_text_fly_and_are_dropped_like_others(node: FlightNode, tmp_path: Path) -> None:
    folder_of(tmp_path)
    folder = os.fsencode(tmp_path / "images")
    for name, content in ((b"caf\xe9.jpg", jpeg(1)), (b"th\xe9.jpg", b"no image")):
        with open(folder + b"/" + name, "wb") as file:
            file.write(content)
    made = Source(node, SourceKind("folder", tmp_path / "images"), tmp_path)
    made.source.peek()
    assert [tile.frame for tile in made.take_all()] == [1]
    assert [(row.name, row.cause) for row in made.rows] == [
        ("caf\\udce9.jpg", ""),
        ("th\\udce9.jpg", "unreadable_image"),
    ]


def test_a_reader_that_stumbles_says_so_and_ends(
    node: FlightNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Source(node, folder_of(tmp_path, jpeg(1), jpeg(2)), tmp_path)

    def stumbling(*_: object) -> Iterator[object]:
        raise KeyError("nobody expects this")
        yield

    monkeypatch.setattr(readers, "source_frames", stumbling)
    assert made.take_all() == []
    assert made.source.counts().dropped == {"source_damaged": 1}


def test_an_image_in_hand_is_not_lost_when_reading_stops(node: FlightNode, tmp_path: Path) -> None:
    made = Source(node, CAMERA, tmp_path)
    for stamp_s in range(1, 4):
        made.photograph(stamp_s)
    frames: list[int] = []
    for _ in range(6):
        made.source.start()
        made.source.stop()
        frames += [tile.frame for tile in made.source.take(time.monotonic())]
        assert made.source.counts().acquired_tiles == 3
    assert frames + made.take_frames(3 - len(frames)) == [1, 2, 3]


def test_a_frame_that_will_be_resized_is_one_tile(node: FlightNode, tmp_path: Path) -> None:
    made = Source(node, CAMERA, tmp_path, pixels=PixelRules(resize=SIDE))
    made.photograph(1, CompressedImage(format="jpeg", data=jpeg(side=20 * SIDE)))
    assert made.source.counts().waiting_tiles == 1
    assert made.take_frames(1) == [1]


def test_a_reader_waits_for_room_and_goes_on_where_it_was_stopped(node: FlightNode, tmp_path: Path) -> None:
    made = Source(node, folder_of(tmp_path, *(jpeg(value) for value in range(7))), tmp_path)
    made.source.start()
    made.until(lambda: made.source.counts().waiting_tiles >= 2)
    made.source.stop()
    # One batch ahead, never more.
    assert made.source.counts().acquired_tiles == 2
    assert [tile.frame for tile in made.take_all()] == [1, 2, 3, 4, 5, 6, 7]


def test_a_folder_without_a_usable_image_is_refused_with_the_first_ones_reason(
    node: FlightNode, tmp_path: Path
) -> None:
    made = Source(node, folder_of(tmp_path, *[b"no image"] * 30, jpeg(side=4)), tmp_path)
    with pytest.raises(TileError, match=r"none of the 31 images .* the first one: image 0\.jpg .* is no image"):
        made.source.peek()


def test_the_first_images_do_not_decide_for_the_whole_source(node: FlightNode, tmp_path: Path) -> None:
    bad, good = [b"no image"] * 25, [jpeg(value) for value in range(6)]
    folder_of(tmp_path)
    for place, content in enumerate(bad + good):
        (tmp_path / "images" / f"{place:02}.jpg").write_bytes(content)
    made = Source(node, SourceKind("folder", tmp_path / "images"), tmp_path)
    made.source.peek()
    assert made.source.counts().expected_tiles == 31
    assert len(made.take_all()) == 6
    assert made.source.counts().expected_tiles == 6


def test_a_camera_that_outruns_the_chain_loses_its_oldest_images_whole(node: FlightNode, tmp_path: Path) -> None:
    made = Source(node, CAMERA, tmp_path, camera_tiles=9)
    for stamp_s in range(1, 6):
        made.photograph(stamp_s, CompressedImage(format="jpeg", data=jpeg(side=2 * SIDE)))
    counts = made.source.counts()
    # Four tiles an image: two images wait.
    assert counts.dropped == {"camera_overflow": 12}
    assert counts.acquired_tiles == 20 and counts.waiting_tiles == 8
    assert made.take_frames(8) == [4, 4, 4, 4, 5, 5, 5, 5]
    assert [(row.frame, row.tiles, row.cause) for row in made.rows] == [
        *((frame, 4, "camera_overflow") for frame in (1, 2, 3)),
        (4, 4, ""),
        (5, 4, ""),
    ]


def test_an_image_larger_than_the_queue_flies_whole(node: FlightNode, tmp_path: Path) -> None:
    made = Source(node, CAMERA, tmp_path, camera_tiles=3)
    made.photograph(1, CompressedImage(format="jpeg", data=jpeg(side=4 * SIDE)))
    assert made.take_frames(16) == [1] * 16


@pytest.mark.parametrize("stamps", [[5, 5, 5], [0, 0, 0], [9, 3, 6], [2**31 - 1] * 3])
def test_images_are_their_own_whatever_their_stamps(node: FlightNode, tmp_path: Path, stamps: list[int]) -> None:
    made = Source(node, CAMERA, tmp_path)
    for stamp_s in stamps:
        made.photograph(stamp_s)
    assert made.source.counts().acquired_tiles == 3
    assert made.take_frames(3) == [1, 2, 3]
    assert {row.stamp_ns for row in made.rows} == {stamp * 10**9 or None for stamp in stamps}


def test_sizes_that_are_forged_are_counted_as_one_tile(node: FlightNode, tmp_path: Path) -> None:
    made = Source(node, CAMERA, tmp_path)
    forged = Image(height=2**32 - 1, width=2**32 - 1, encoding="rgb8", step=2**32 - 1, data=bytes(7))
    made.photograph(1, forged)
    made.photograph(2, CompressedImage(format="jpeg", data=b"\xff\xd8\xff broken"))
    made.photograph(3)
    assert made.source.counts().acquired_tiles == 3
    assert made.take_frames(1) == [3]
    assert made.source.counts().dropped == {"unreadable_image": 2}


def test_a_bag_is_replayed_at_a_rate_of_its_recorded_times(
    node: FlightNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Source(node, replace(folder_of(tmp_path, jpeg()), rate=1000.0), tmp_path)
    waits: list[float] = []
    monkeypatch.setattr(made.source._stop, "wait", lambda seconds: bool(waits.append(seconds)))
    monkeypatch.setattr(time, "monotonic", lambda: 50.0)
    times_ns = [7 * 10**9, 9 * 10**9, 12 * 10**9]
    recorded = (Origin(n, "", recorded_ns=time_ns) for n, time_ns in enumerate(times_ns))
    frames = list(made.source._recorded.paced(UnreadableFrame(origin, "") for origin in recorded))

    assert [frame.number for frame in frames] == [0, 1, 2]
    assert waits == pytest.approx([0.0, 0.002, 0.005])
