from pathlib import Path

import pytest

from satllm_ros.data.folder import FolderError, read_folder


def test_images_come_sorted_and_other_files_are_left_out(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "c.tif", "d.jpg", "e.tiff", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert [file.name for file in read_folder(tmp_path)] == ["a.jpeg", "b.PNG", "c.tif", "d.jpg", "e.tiff"]


def test_an_empty_folder_is_refused_with_the_extensions_allowed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FolderError, match=r"holds no image; allowed are \.jpg, \.jpeg, \.png, \.tif"):
        read_folder(tmp_path)


def test_a_missing_folder_and_a_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="does not exist"):
        read_folder(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="is not a folder"):
        read_folder(tmp_path / "file")
