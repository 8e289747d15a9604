"""What a source holds at this moment, as the manifest by which it is known again."""

from __future__ import annotations

from pathlib import Path

from satllm_ros.data.bag import bag_facts
from satllm_ros.data.folder import read_folder
from satllm_ros.data.manifest import CAMERA, Manifest


def take_manifest(kind: str, path: Path, topic: str) -> Manifest:
    """Manifest of a folder, a bag or a camera.

    Parameters
    ----------
    kind
        folder, bag or topic.
    topic
        Image topic in a bag, empty if it has only one; of a camera, for people.

    Raises
    ------
    OSError, ValueError
        If the source cannot be read, or holds no image.
    """
    if kind == "topic":
        return Manifest(CAMERA, topic, (), {})
    if kind == "folder":
        files = read_folder(path)
        entries = tuple((file.relative_to(path).as_posix(), file.stat().st_size) for file in files)
        return Manifest(kind, str(path), entries, {})
    facts = bag_facts(path, topic or None)
    content = {
        "topic": facts.topic,
        "count": facts.messages,
        "first_ns": facts.first_ns,
        "last_ns": facts.last_ns,
        "samples": list(facts.samples),
    }
    return Manifest(kind, str(path), facts.files, content)
