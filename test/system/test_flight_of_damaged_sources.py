"""Bags that were broken off or whose stamps repeat, folders of folders: what is there flies, and the rest is said."""

import csv
import json
from pathlib import Path

import pytest
from flight import constellation, started, up, write_constellation
from tiny_material import CLASSES, Material, encoded, picture, save_bag

from satllm_ros.data.rosbag import bag_writer

BLOCK_S = (0.01,)


def test_what_was_recorded_before_the_cut_flies(material: Material, tmp_path: Path) -> None:
    bag = save_bag(tmp_path / "cut", [encoded(picture(number)) for number in range(20)])
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    config = write_constellation(tmp_path, constellation(material, BLOCK_S, emulate=False))
    with started(up(config, "--bag", bag), tmp_path) as flight:
        assert flight.wait() == 1, flight.story()
    tiles = json.loads((flight.latest / "summary.json").read_text())["tiles"]
    assert 0 < tiles["received"] < 20 and tiles["dropped"] == {"source_damaged": 20 - tiles["received"]}
    assert "was broken off while it was recorded" in flight.errors and "needs no ROS" in flight.errors


def test_folders_in_a_folder_fly_when_asked_and_what_is_left_out_is_said(material: Material, tmp_path: Path) -> None:
    for number, name in enumerate(("a/2.jpg", "a/10.jpg", "b.jpg")):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(encoded(picture(number)))
    (tmp_path / "images" / "dead.jpg").symlink_to("nowhere")
    config = write_constellation(tmp_path, constellation(material, BLOCK_S, emulate=False))
    with started(up(config, "--images", tmp_path / "images", "--recursive"), tmp_path) as flight:
        assert flight.wait() == 0, flight.story()
    tiles = json.loads((flight.latest / "summary.json").read_text())["tiles"]
    assert (tiles["received"], tiles["dropped"]) == (3, {})
    assert "1 entry is left out: 1 dead link (dead.jpg)" in flight.errors


def test_every_message_of_a_bag_is_an_image_of_its_own_whatever_its_stamp(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bag_writer, "PERIOD_NS", 0)
    bag = save_bag(tmp_path / "equal", [encoded(picture(number)) for number in range(20)])
    config = write_constellation(tmp_path, constellation(material, BLOCK_S, emulate=False))
    with started(up(config, "--bag", bag, "--reference", "all"), tmp_path) as flight:
        assert flight.wait() == 0, flight.story()
    summary = json.loads((flight.latest / "summary.json").read_text())
    assert summary["tiles"]["received"] == 20 and summary["tiles"]["duplicates"] == 0
    assert summary["accuracy"]["agreement"] >= 0.9 and summary["audit"]["adds_up"]
    with (flight.latest / "results.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["frame"]))
    assert [int(row["frame"]) for row in rows] == [*range(1, 21)]
    assert len({row["stamp_utc"] for row in rows}) == 1
    # As many labels as images have this stamp: they belong together in their order.
    assert [int(row["truth"]) for row in rows] == [number % len(CLASSES) for number in range(20)]
