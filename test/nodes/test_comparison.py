"""What flown predictions are compared with."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage

from satllm_ros.assets.paths import checkpoint_path
from satllm_ros.data.rosbag.bag_writer import LabelledFrame, write_bag
from satllm_ros.data.sources import take_manifest
from satllm_ros.model.reference import UnsplitModel
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes.comparison import bag_truth, compare, paired, stamp_in
from satllm_ros.nodes.images.frames import SourceKind, source_frames, stamp_of
from satllm_ros.supervisor.comparing import Job

SIDE = 64


def png(seed: int, width: int = SIDE, height: int = SIDE) -> bytes:
    buffer = io.BytesIO()
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def write_labels(path: Path, *labels: tuple[int, str]) -> Path:
    write_bag(path, [LabelledFrame(png(n), number, name, name) for n, (number, name) in enumerate(labels)])
    return path


def told_by(job: Job) -> dict[str, Any]:
    """All lines of a comparison in one."""
    lines: list[dict[str, Any]] = []
    compare(job, lambda **line: lines.append(json.loads(json.dumps(line))))
    assert lines[-1] == {"end": True}
    merged: dict[str, Any] = {"steps": [line for line in lines if "step" in line]}
    for line in lines:
        merged |= line
    return merged


def job_of(kind: str, path: Path, tiles: tuple[tuple[int, int], ...], **changes: Any) -> Job:
    known = {
        "kind": kind,
        "path": str(path),
        "image_topic": "",
        "source_id": take_manifest(kind, path, "").source_id,
        "checkpoint": str(checkpoint_path("demo")),
        "run_directory": str(path.parent / "nowhere"),
        "tiles": tiles,
    }
    return Job(**(known | changes))


def test_the_true_class_of_each_image_by_its_position(tmp_path: Path) -> None:
    bag = write_labels(tmp_path / "bag", (1, "Lake"), (0, "Field"), (1, ""))
    assert bag_truth(bag, "", ("Field", "Lake")) == {1: 1, 2: 0, 3: 1}


@pytest.mark.parametrize("label", [(0, "roof"), (2, "solar")])
def test_labels_of_other_classes_are_no_truth(label: tuple[int, str], tmp_path: Path) -> None:
    bag = write_labels(tmp_path / "bag", (1, "Lake"), label)
    with pytest.raises(
        ValueError, match=f"labels an image '{label[1]}', class {label[0]}; the model's classes are Field, Lake"
    ):
        bag_truth(bag, "", ("Field", "Lake"))


def test_equal_stamps_are_paired_in_their_order_or_not_at_all() -> None:
    assert paired([5, 5, 5], [(5, 0), (5, 1), (5, 2)]) == {1: 0, 2: 1, 3: 2}
    assert paired([None, None], [(None, 3), (None, 4)]) == {1: 3, 2: 4}
    # One label is missing, and nobody knows whose.
    assert paired([5, 5, 5, 6], [(5, 0), (5, 1), (6, 9)]) == {4: 9}
    assert paired([5, 6], [(5, 0), (5, 1), (6, 9), (7, 8)]) == {2: 9}
    # Recorded in another order, as two topics are.
    assert paired([3, 1, 2, 1], [(1, 10), (2, 20), (3, 30), (1, 11)]) == {1: 30, 2: 10, 3: 20, 4: 11}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=12), st.data())
def test_a_label_never_goes_to_an_image_of_another_stamp(images: list[tuple[int, int]], data: st.DataObject) -> None:
    kept = [pair for pair in images if data.draw(st.booleans())]
    whole = {stamp for stamp, _ in images if [p for p in images if p[0] == stamp] == [p for p in kept if p[0] == stamp]}
    expected = {n: label for n, (stamp, label) in enumerate(images, start=1) if stamp in whole}
    assert paired([stamp for stamp, _ in images], kept) == expected


@pytest.mark.parametrize(("seconds", "nanoseconds"), [(0, 0), (1, 2), (-5, 7), (2**31 - 1, 999_999_999), (0, 1)])
def test_a_stamp_is_read_without_the_message(seconds: int, nanoseconds: int) -> None:
    message = CompressedImage(format="png", data=b"x" * 100)
    message.header.stamp.sec, message.header.stamp.nanosec = seconds, nanoseconds
    assert stamp_in(bytes(serialize_message(message))) == stamp_of(message)
    assert stamp_in(b"") is None


def test_only_the_tiles_asked_for_are_compared_each_with_its_own_image(tmp_path: Path) -> None:
    bag = write_labels(tmp_path / "bag", *[(n % 3, "") for n in range(8)])
    told = told_by(job_of("bag", bag, ((2, 0), (5, 0), (7, 0))))
    spec = read_spec(checkpoint_path("demo"))
    what = SourceKind("bag", bag)
    images = {f.number: f.rgb for f in source_frames(what, take_manifest("bag", bag, ""))}
    expected = UnsplitModel(checkpoint_path("demo"), spec)(np.stack([images[n] for n in (2, 5, 7)]))
    assert told["reference"] == [[n, 0, label] for n, label in zip((2, 5, 7), expected, strict=True)]
    assert told["truth"] == [[n + 1, 0, n % 3] for n in range(8)]
    assert [(s["done"], s["total"]) for s in told["steps"]] == [(0, 3), (3, 3)] and "failed" not in told


def test_tiles_of_a_large_image_and_a_folder_that_was_changed(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (1, 2, 3):
        (folder / f"{number}.png").write_bytes(png(number, 2 * SIDE, SIDE))
    job = job_of("folder", folder, ((1, 1), (2, 0), (3, 1), (3, 9)))
    told = told_by(job)
    assert [key[:2] for key in told["reference"]] == [[1, 1], [2, 0], [3, 1]] and "truth" not in told
    assert told["failed"] == "1 tiles are not as they were flown, and not compared"
    frames = source_frames(SourceKind("folder", folder), take_manifest("folder", folder, ""))
    flown = {frame.number: frame.origin.digest for frame in frames}
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[::-1])
    told = told_by(job_of("folder", folder, job.tiles[:3], digests=flown))
    assert [key[:2] for key in told["reference"]] == [[1, 1], [3, 1]]


def test_another_source_is_not_compared(tmp_path: Path) -> None:
    bag = write_labels(tmp_path / "bag", (1, ""), (0, ""))
    told = told_by(job_of("bag", bag, ((1, 0),), source_id="0" * 16))
    assert told["failed"] == f"no comparison with the source: {bag} is not the source that was flown"
    assert "truth" not in told and "reference" not in told
    told = told_by(replace(job_of("bag", bag, ((1, 0),)), path=str(tmp_path / "gone")))
    assert "gone" in told["failed"]
