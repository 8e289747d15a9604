"""A bag that was broken off, and a folder of folders: what is there flies, and the rest is said."""

import json
from pathlib import Path

from flight import constellation, started, up, write_constellation
from tiny_material import Material, encoded, picture, save_bag

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
