"""Which storage files a bag is made of: what metadata.yaml says, checked against what is there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from satllm_ros.data.natural_order import natural_key

STORAGE_SUFFIXES = (".mcap", ".db3")
_PACKED = ".zstd"


@dataclass(frozen=True)
class BagFolder:
    """What a path to a bag stands for.

    Attributes
    ----------
    files
        Storage files, in recorded order; one that metadata.yaml names and that is not there is among them.
    types, counts
        Of topics, as metadata.yaml says; empty without one, or with one that cannot be read. Never trusted over the
        storage: recorders that die, and `ros2 bag reindex`, write counts of zero.
    """

    files: tuple[Path, ...]
    types: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def is_packed(self) -> bool:
        """Whether files are compressed as a whole, so that looking into one means to unpack it."""
        return any(file.suffix == _PACKED for file in self.files)


def is_storage(path: Path) -> bool:
    """Whether a file is called like the storage of a bag; one compressed as a whole ends in .zstd."""
    name = path.name.removesuffix(_PACKED)
    return name.endswith(STORAGE_SUFFIXES)


def look_into(path: Path) -> BagFolder:
    """Storage files and metadata of a bag: a folder, or one of its files by itself."""
    if not path.is_dir():
        return BagFolder((path,))
    present = in_order(file for file in path.iterdir() if is_storage(file) and not file.name.startswith("."))
    # A recorder that died while it compressed a file left both.
    present = [f for f in present if f.suffix != _PACKED or f.with_name(f.name.removesuffix(_PACKED)) not in present]
    information = _information(path / "metadata.yaml")
    named = [PurePosixPath(str(name)).name for name in _list(information.get("relative_file_paths"))]
    if not named:
        return BagFolder(tuple(present), *_topics(information))
    files = [_as_it_is(path / name) for name in named]
    return BagFolder((*files, *_continued(files, present)), *_topics(information))


def in_order(files: Iterable[Path]) -> list[Path]:
    """Files sorted by name: bag_2 before bag_10."""
    return sorted(files, key=lambda file: natural_key(file.name))


def _as_it_is(file: Path) -> Path:
    """The file that is there: metadata may name it as it was before it was compressed, or after."""
    others = (file.with_name(file.name + _PACKED), file.with_name(file.name.removesuffix(_PACKED)))
    return file if file.exists() else next((other for other in others if other.exists()), file)


def _continued(files: list[Path], present: list[Path]) -> list[Path]:
    """Files that go on with the numbers of those named: of a recorder that died after it had begun a new one."""
    numbers = [found for file in files if (found := _series(file))]
    if not numbers or len(numbers) < len(files) or len({series for series, _ in numbers}) != 1:
        return []
    series, last = max(numbers, key=lambda pair: pair[1])
    return [file for file in present if (found := _series(file)) and found[0] == series and found[1] > last]


def _series(file: Path) -> tuple[str, int] | None:
    found = re.fullmatch(r"(.*_)(\d+)(\.mcap|\.db3)(\.zstd)?", file.name)
    return (found[1] + found[3], int(found[2])) if found else None


def _information(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        information = document["rosbag2_bagfile_information"]
    except PermissionError:
        raise
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        # Not there, or half written: the storage knows.
        return {}
    return information if isinstance(information, dict) else {}


def _topics(information: dict[str, Any]) -> tuple[dict[str, str], dict[str, int]]:
    types, counts = {}, {}
    for topic in _list(information.get("topics_with_message_count")):
        try:
            name, type_name = str(topic["topic_metadata"]["name"]), str(topic["topic_metadata"]["type"])
            types[name], counts[name] = type_name, int(topic["message_count"])
        except (KeyError, TypeError, ValueError):
            continue
    return types, counts


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
