"""Which files of a folder are flown, in which order, and what is said of the rest."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.data.folder import IMAGE_EXTENSIONS, FolderError, list_folder
from satllm_ros.data.natural_order import natural_key


def lay_down(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_files_come_as_a_person_would_sort_them(tmp_path: Path) -> None:
    names = ["2.jpg", "10.JPG", "a b.jpeg", "B.png", "img_2.jpg", "img_10.jpg", "T32TQM_TCI_10m.jp2", "ünïcode #5%.tif"]
    lay_down(tmp_path, *reversed(names))
    assert list_folder(tmp_path).files == tuple(names)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1), unique=True))
def test_the_order_does_not_depend_on_where_it_begins(names: list[str]) -> None:
    assert sorted(names, key=natural_key) == sorted(reversed(names), key=natural_key)


@pytest.mark.parametrize("suffix", [*IMAGE_EXTENSIONS, ".JPEG", ".Png", ".JP2", ".WebP"])
def test_every_format_that_is_read_is_flown(suffix: str, tmp_path: Path) -> None:
    assert list_folder(lay_down(tmp_path, f"a{suffix}")).files == (f"a{suffix}",)


def test_what_is_left_out_is_counted_by_reason_and_named_once(tmp_path: Path) -> None:
    lay_down(tmp_path, "1.jpg", "notes.txt", "raw.heic", "film.gif", "x.xml", ".hidden.jpg", "tile_13/inside.jpg")
    (tmp_path / "dead.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "itself.jpg").symlink_to("itself.jpg")
    (tmp_path / "link.jpg").symlink_to("1.jpg")
    with socket.socket(socket.AF_UNIX) as opened:
        cwd = os.getcwd()
        os.chdir(tmp_path)
        try:
            opened.bind("socket.jpg")
        finally:
            os.chdir(cwd)
        listing = list_folder(tmp_path)
    assert listing.files == ("1.jpg", "link.jpg")
    assert listing.left_out == {
        "dead link": ("dead.jpg", "itself.jpg"),
        "folder": ("tile_13",),
        "hidden": (".hidden.jpg",),
        "no file": ("socket.jpg",),
        "of another kind": ("film.gif", "notes.txt", "raw.heic", "x.xml"),
    }
    assert listing.sentence == (
        "9 entries are left out: 2 dead links (dead.jpg, itself.jpg); 1 folder (tile_13); 1 hidden (.hidden.jpg); "
        "1 no file (socket.jpg); 4 of another kind (film.gif, notes.txt, raw.heic and 1 more)"
    )
    (tmp_path / "clean").mkdir()
    assert list_folder(lay_down(tmp_path / "clean", "1.jpg")).sentence == ""


def test_folders_are_descended_into_when_asked(tmp_path: Path) -> None:
    lay_down(tmp_path, "b/2.jpg", "b/10.jpg", "a.jpg", "b/c/1.png", "b/note.txt", ".git/x.jpg", "empty/readme.md")
    listing = list_folder(tmp_path, recursive=True)
    assert listing.files == ("a.jpg", "b/2.jpg", "b/10.jpg", "b/c/1.png")
    assert listing.left_out == {"hidden": (".git",), "of another kind": ("b/note.txt", "empty/readme.md")}


def test_links_to_folders_are_followed_once_and_never_in_a_circle(tmp_path: Path) -> None:
    lay_down(tmp_path / "here", "z/1.jpg", "0.jpg")
    lay_down(tmp_path / "elsewhere", "2.jpg")
    for name, target in (("a", "z"), ("up", ".."), ("self", "."), ("out", "../elsewhere"), ("z/back", "..")):
        (tmp_path / "here" / name).symlink_to(target)
    (tmp_path / "elsewhere" / "home").symlink_to("../here")
    listing = list_folder(tmp_path / "here", recursive=True)
    assert set(listing.files) == {"0.jpg", "z/1.jpg", "out/2.jpg"}
    assert {"a", "self", "z/back"} <= set(listing.left_out["folder read already, by another way"])


def test_a_folder_that_cannot_be_read_costs_that_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_down(tmp_path, "a/1.jpg", "b/2.jpg")
    scan = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = list_folder(tmp_path, recursive=True)
    assert listing.files == ("b/2.jpg",) and listing.left_out == {"folder that cannot be read": ("a",)}
    with pytest.raises(PermissionError):
        list_folder(tmp_path / "a")


def test_a_name_that_is_no_text_is_flown_and_can_be_said(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).touch()
    (tmp_path / os.fsdecode(b"caf\xe9\n.txt")).touch()
    listing = list_folder(tmp_path)
    assert os.fsencode(listing.files[0]) == b"caf\xe9.jpg"
    assert "caf\\udce9\\n.txt" in listing.sentence and listing.sentence.isprintable()
    listing.sentence.encode("utf-8")


def test_a_folder_of_folders_says_which_they_are(tmp_path: Path) -> None:
    lay_down(tmp_path, *(f"{name}/1.jpg" for name in ("Forest", "River", "Sea", "Lake", "Field")))
    with pytest.raises(
        FolderError, match=r"holds no image but 5 folders \(Field, Forest, Lake and 2 more\): use --rec"
    ):
        list_folder(tmp_path)
    assert len(list_folder(tmp_path, recursive=True).files) == 5


def test_an_empty_folder_is_refused_with_what_is_there_and_allowed(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"holds no image; allowed are \.jpg, \.jpeg, .*\.jp2"):
        list_folder(tmp_path)
    with pytest.raises(FolderError, match=r"1 entry is left out: 1 of another kind \(notes\.txt\)"):
        list_folder(lay_down(tmp_path, "notes.txt"), recursive=True)


def test_a_missing_folder_and_a_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="does not exist"):
        list_folder(tmp_path / "nothing")
    with pytest.raises(FolderError, match="is not a folder"):
        list_folder(lay_down(tmp_path, "file") / "file")
