"""Small durable files: whole or absent."""

from pathlib import Path

from satllm_ros.storage.durable import read_if_there, write_durably


def test_a_file_is_replaced_as_a_whole_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "state" / "sensing.plan"
    assert read_if_there(path) is None
    write_durably(path, b"one")
    write_durably(path, b"two")

    assert read_if_there(path) == b"two"
    assert [file.name for file in path.parent.iterdir()] == ["sensing.plan"]
