"""Small files that survive a power cut: replaced as a whole, and on disk before `write` returns."""

from __future__ import annotations

import os
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file; whenever the power fails, either the old content or the new one is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    # The renaming itself is in the folder.
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Return once the names in a folder are on disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def read_if_there(path: Path) -> bytes | None:
    """Content of a file; None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
