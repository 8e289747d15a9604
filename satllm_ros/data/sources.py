"""What a source holds at this moment, as the manifest by which it is known again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from satllm_ros.data.folder import list_folder
from satllm_ros.data.manifest import CAMERA, Manifest
from satllm_ros.data.rosbag.bag import bag_facts


def take_manifest(kind: str, path: Path, topic: str, *, recursive: bool = False) -> Manifest:
    """Manifest of a folder, a bag or a camera.

    Parameters
    ----------
    kind
        folder, bag or topic.
    topic
        Image topic in a bag, empty if it has only one; of a camera, for people.
    recursive
        Whether the folders in a folder are read too.

    Raises
    ------
    OSError, ValueError
        If the source cannot be read, or holds no image.
    """
    if kind == "topic":
        return Manifest(CAMERA, topic, (), {})
    if kind == "folder":
        return Manifest(kind, str(path), tuple(_sizes(path, list_folder(path, recursive=recursive).files)), {})
    facts = bag_facts(path, topic or None)
    content = {
        "topic": facts.topic,
        "count": facts.messages,
        "first_ns": facts.first_ns,
        "last_ns": facts.last_ns,
        "samples": list(facts.samples),
    }
    return Manifest(kind, str(path), facts.files, content)


def _sizes(folder: Path, files: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Files and their sizes [byte]; one that has gone since it was listed is not of the source."""
    for file in files:
        with suppress(FileNotFoundError):
            yield file, (folder / file).stat().st_size
