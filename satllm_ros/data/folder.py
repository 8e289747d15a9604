"""A folder of image files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from satllm_ros.data.natural_order import natural_key

# What `decode_image` reads, but for GIF, which is a film as often as not.
IMAGE_EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".dib", ".webp"),
    *(".jp2", ".j2k", ".jpx", ".jpf"),
)
# Names told of each reason: enough to know which files these are.
_NAMED = 3

OTHER_SUFFIX = "of another kind"
HIDDEN = "hidden"
DEAD_LINK = "dead link"
FOLDER = "folder"
READ_ALREADY = "folder read already, by another way"
UNREADABLE = "folder that cannot be read"
NO_FILE = "no file"
_PLURALS = {
    DEAD_LINK: "dead links",
    FOLDER: "folders",
    READ_ALREADY: "folders read already, by another way",
    UNREADABLE: "folders that cannot be read",
}


class FolderError(ValueError):
    """A folder that is missing or holds no images."""


@dataclass(frozen=True)
class FolderListing:
    """What is in a folder.

    Attributes
    ----------
    files
        Image files, as paths relative to the folder with `/`, in the order in which they are flown: by folder, then by
        name, numbers in it by their value and letters whether capital or not.
    left_out
        What else is there, in the same order, by reason.
    """

    files: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]]

    @property
    def sentence(self) -> str:
        """What is left out, how many by reason, and the first names; empty if nothing is."""
        return left_out_sentence(self.left_out)


def list_folder(path: Path | str, *, recursive: bool = False) -> FolderListing:
    """Image files in a folder, in one order on every computer, and what is left out.

    Parameters
    ----------
    recursive
        Descend into folders too. Each is read once, whatever links lead to it; hidden ones are not.

    Raises
    ------
    FolderError
        If the path is no folder or holds no image; the message says what is there instead.
    OSError
        If the folder itself cannot be read.
    """
    folder = Path(path)
    listing = _listing(folder, recursive=recursive)
    if listing.files:
        return listing
    if folders := listing.left_out.get(FOLDER):
        raise FolderError(f"folder {folder} holds no image but {_counted(FOLDER, folders)}: use --recursive")
    others = f"; {listing.sentence}" if listing.left_out else ""
    raise FolderError(f"folder {folder} holds no image; allowed are {', '.join(IMAGE_EXTENSIONS)}{others}")


def image_files(folder: Path) -> FolderListing:
    """Image files directly in a folder, which may be none; raises FolderError if it is no folder."""
    return _listing(folder, recursive=False)


def left_out_sentence(left_out: Mapping[str, tuple[str, ...]]) -> str:
    """What is left out, how many by reason, and the first names; empty if nothing is."""
    if not left_out:
        return ""
    total = sum(map(len, left_out.values()))
    parts = "; ".join(_counted(reason, names) for reason, names in left_out.items())
    return f"{total} {'entry is' if total == 1 else 'entries are'} left out: {parts}"


def printable(name: str) -> str:
    """A file's name as a terminal can show it: bytes that are no text, and control characters, as escapes."""
    shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def _counted(reason: str, names: tuple[str, ...]) -> str:
    shown = ", ".join(map(printable, names[:_NAMED]))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} {_PLURALS.get(reason, reason) if len(names) > 1 else reason} ({shown}{more})"


def _listing(folder: Path, *, recursive: bool) -> FolderListing:
    if not folder.is_dir():
        raise FolderError(
            f"{folder} is not a folder" if folder.exists() else f"folder {folder.absolute()} does not exist"
        )
    files: list[str] = []
    left_out: dict[str, list[str]] = {}
    seen: set[tuple[int, int]] = {_identity(folder)}
    # Folders themselves before links to them, so that a file's name is the one that it has without links.
    waiting = [""]
    linked: list[str] = []
    while waiting or linked:
        below = waiting.pop() if waiting else linked.pop(0)
        try:
            if below and _is_seen(folder / below, seen):
                left_out.setdefault(READ_ALREADY, []).append(below)
                continue
            entries = list(_entries(folder, below))
        except OSError:
            if not below:
                raise
            left_out.setdefault(UNREADABLE, []).append(below)
            continue
        for name, entry in entries:
            reason = _reason(entry)
            if reason is None:
                files.append(name)
            elif reason == FOLDER and recursive:
                (linked if entry.is_symlink() else waiting).append(name)
            else:
                left_out.setdefault(reason, []).append(name)
        linked.sort(key=_order)
    return FolderListing(
        tuple(sorted(files, key=_order)),
        {reason: tuple(sorted(names, key=_order)) for reason, names in sorted(left_out.items())},
    )


def _entries(folder: Path, below: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder / below) as entries:
        for entry in entries:
            yield str(PurePosixPath(below, entry.name)), entry


def _reason(entry: os.DirEntry[str]) -> str | None:
    """Why an entry is no image to fly; None if it is one."""
    if entry.name.startswith("."):
        return HIDDEN
    try:
        if entry.is_dir():
            return FOLDER
        if entry.is_file():
            return None if entry.name.lower().endswith(IMAGE_EXTENSIONS) else OTHER_SUFFIX
    except OSError:
        # A link that leads to itself.
        return DEAD_LINK
    return DEAD_LINK if entry.is_symlink() else NO_FILE


def _is_seen(folder: Path, seen: set[tuple[int, int]]) -> bool:
    identity = _identity(folder)
    if identity in seen:
        return True
    seen.add(identity)
    return False


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _order(path: str) -> Any:
    return [natural_key(part) for part in path.split("/")]
