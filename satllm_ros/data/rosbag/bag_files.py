"""The storage files of one bag, taken together: their topics, and how many messages there are or should be."""

from __future__ import annotations

from pathlib import Path

from satllm_ros.data.rosbag.bag_folder import BagFolder, is_storage, look_into
from satllm_ros.data.rosbag.bag_opening import opened_storage
from satllm_ros.data.rosbag.bag_storage import Count, Loss


class BagError(ValueError):
    """A path that is no bag, a damaged bag, or a bag without the topic asked for."""


class BagFiles:
    """The storage files of a bag, opened one at a time."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise BagError(f"bag {self.path} does not exist")
        if self.path.is_file() and not is_storage(self.path):
            raise BagError(f"{self.path} is not a rosbag2 bag; allowed are a bag folder, an .mcap file or a .db3 file")
        self.folder: BagFolder = look_into(self.path)
        if not self.folder.files:
            raise BagError(f"folder {self.path} is not a rosbag2 bag: it holds no .mcap and no .db3 file")

    def topics(self) -> dict[str, str]:
        """Topics and their types, sorted by name; raises BagError if nothing can be read."""
        if self.folder.is_packed and self.folder.types:
            return dict(sorted(self.folder.types.items()))
        found: dict[str, str] = {}
        unread: list[str] = []
        for file in self.folder.files:
            with opened_storage(file) as storage:
                if isinstance(storage, Loss):
                    unread.append(storage.reason)
                else:
                    # A schema that is damaged in one file is whole in another, or in metadata.yaml.
                    found |= {topic: kind for topic, kind in storage.topics().items() if kind or topic not in found}
        if len(unread) == len(self.folder.files):
            raise BagError(f"bag {self.path} cannot be read: {'; '.join(unread)}")
        types = {topic: kind or self.folder.types.get(topic, "") for topic, kind in found.items()}
        return dict(sorted((self.folder.types | types).items()))

    def count(self, topic: str) -> int:
        """Places on a topic: messages that are there, and those that are known to be lost."""
        declared = self.folder.counts.get(topic, 0)
        if self.folder.is_packed and declared:
            # To count would be to unpack everything.
            return declared
        counts = [_count(file, topic) for file in self.folder.files]
        known, gaps = sum(count.known for count in counts), sum(count.gaps for count in counts)
        if gaps == 1 and declared >= known and declared and any(count.gap_at_end for count in counts):
            return declared
        return known + gaps

    def missing(self, file: int, topic: str, position: int) -> int | None:
        """Messages missing at the end of a file, of which `position - 1` places were counted; None if unknown."""
        declared = self.folder.counts.get(topic, 0)
        others = self.folder.files[file + 1 :]
        if not declared or any(other.suffix == ".zstd" for other in others):
            return None
        later = [_count(other, topic) for other in others]
        missing = declared - (position - 1) - sum(count.known for count in later)
        return missing if missing >= 0 and not any(count.gaps for count in later) else None


def _count(file: Path, topic: str) -> Count:
    with opened_storage(file) as storage:
        return Count(0, 1, True) if isinstance(storage, Loss) else storage.count(topic)
