"""Reading rosbag2 bags (MCAP or sqlite3) without ROS, as they lie there: whole, unindexed, broken off or damaged."""

# long: to be split: reading, and what is said of damage

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from satllm_ros.data.rosbag.bag_folder import BagFolder, is_storage, look_into
from satllm_ros.data.rosbag.bag_samples import sampled_digest
from satllm_ros.data.rosbag.bag_storage import ZSTD_MAGIC, Count, Loss, StorageError, StorageFile, Stored
from satllm_ros.data.rosbag.mcap_file import McapFile
from satllm_ros.data.rosbag.sqlite_file import SqliteFile
from satllm_ros.data.rosbag.typestore import SCENE_LABEL, bag_typestore

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_SQLITE_MAGIC = b"SQLite format 3\0"
# A raw image of 8K with 16 bits a channel is a fifth of it; some kilobytes can claim to be any number of gigabytes.
LARGEST_MESSAGE_BYTES = 1 << 30
_CURES = {
    ".mcap": "`mcap recover {file} -o whole.mcap` (the mcap command line tool, which needs no ROS)",
    ".db3": "`sqlite3 {file} .recover | sqlite3 whole.db3` (which needs no ROS)",
}


class BagError(ValueError):
    """A path that is no bag, a damaged bag, or a bag without the topic asked for."""


@dataclass(frozen=True)
class BagMessage:
    """One recorded message.

    Attributes
    ----------
    topic, type_name
        As recorded, e.g. "/camera/image/compressed" and "sensor_msgs/msg/CompressedImage".
    stamp_ns
        When the bag recorded the message [ns since 1970]; the header's own stamp is in `cdr`.
    cdr
        The serialized message, as it crossed DDS.
    position
        Place on its topic in recorded order, from 1. Messages that are lost keep their places (see `BagDamage`).
    """

    topic: str
    type_name: str
    stamp_ns: int
    cdr: bytes
    position: int = 0


@dataclass(frozen=True)
class BagDamage:
    """Messages of one topic that a bag should hold and that cannot be read.

    Attributes
    ----------
    topic
        Whose messages are lost.
    position, lost
        They would have been at places `position` to `position + lost - 1` of the topic.
    is_exact
        False if the bag does not tell how many there were: then `lost` is 1, for at least one, and the places of later
        messages are counted as if it were so.
    sentence
        What is damaged, how many messages were read before it, and what mends the bag.
    """

    topic: str
    position: int
    lost: int
    is_exact: bool
    sentence: str


@dataclass(frozen=True)
class BagFacts:
    """What tells one bag from another, gathered without reading the bag.

    Attributes
    ----------
    topic
        The topic that is flown.
    files
        (name, bytes) of the storage files, in recorded order.
    messages
        Messages of the topic, with those known to be lost.
    first_ns, last_ns
        When the first and the last message of any topic were recorded [ns since 1970]; None if there is none.
    samples
        SHA-256, in hexadecimal, of a bounded sample of each file's content: all of a small one, 4 MiB of a large one.
    """

    topic: str
    files: tuple[tuple[str, int], ...]
    messages: int
    first_ns: int | None
    last_ns: int | None
    samples: tuple[str, ...]


def bag_topics(path: Path | str) -> dict[str, str]:
    """Topics of a bag and their types, sorted by name; raises BagError if nothing of the bag can be read."""
    return _Bag(path).topics()


def image_topic(path: Path | str, topic: str | None = None) -> str:
    """Name of the image topic to replay: the one asked for, or the only one there is.

    Raises
    ------
    BagError
        If the bag has no image topic, has several and none was chosen, or the chosen one is absent or carries
        no images; the message lists what is there.
    """
    topics = bag_topics(path)
    if topic is not None:
        name = _find(path, topic, topics)
        if topics[name] not in IMAGE_TYPES:
            raise BagError(f"topic {name} of bag {path} is a {topics[name]}; allowed are {' and '.join(IMAGE_TYPES)}")
        return name
    images = [name for name, type_name in topics.items() if type_name in IMAGE_TYPES]
    if not images:
        raise BagError(f"bag {path} has no image topic ({' or '.join(IMAGE_TYPES)}); its topics are {_listed(topics)}")
    if len(images) > 1:
        raise BagError(f"bag {path} has {len(images)} image topics, choose one: {', '.join(images)}")
    return images[0]


def label_topic(path: Path | str) -> str | None:
    """Name of the topic with the true classes, or None; raises BagError if there are several."""
    labels = [name for name, type_name in bag_topics(path).items() if type_name == SCENE_LABEL]
    if len(labels) > 1:
        raise BagError(f"bag {path} has {len(labels)} {SCENE_LABEL} topics ({', '.join(labels)}); allowed is one")
    return labels[0] if labels else None


def count_messages(path: Path | str, topic: str) -> int:
    """Number of places on a topic: messages that are there, and those that are known to be lost.

    The storage is asked, by its own index or framing, and message bodies are not read; metadata.yaml only tells how
    many are missing where the storage was broken off, or is compressed as a whole.

    Raises
    ------
    BagError
        If nothing of the bag can be read, or the topic is absent; the message lists the topics.
    """
    bag = _Bag(path)
    return bag.count(_find(path, topic, bag.topics()))


def read_messages(
    path: Path | str, topics: Collection[str] | None = None, on_damage: Callable[[BagDamage], None] | None = None
) -> Iterator[BagMessage]:
    """Messages of a bag in the order they were recorded: that in which they lie in the storage, file after file.

    All that can be read is read. The order, and with it every message's position, is the same at each reading.

    Parameters
    ----------
    path
        Bag folder, or a single .mcap or .db3 file (also with .zstd).
    topics
        Names to read; all if None.
    on_damage
        Called for messages that cannot be read, in their turn, once a topic.

    Raises
    ------
    BagError
        At once if the path is no bag or a topic is absent. After the last message that could be read, if there was
        damage and no `on_damage` to hear of it.
    """
    bag = _Bag(path)
    present = bag.topics()
    wanted = set(present) if topics is None else {_find(path, topic, present) for topic in topics}
    return _messages(bag, wanted, on_damage)


def bag_facts(path: Path | str, topic: str | None = None) -> BagFacts:
    """What tells this bag from another; the same at each call, in bounded time for a bag of any size.

    Raises
    ------
    BagError
        As `image_topic` does.
    """
    return _Bag(path).facts(image_topic(path, topic))


def deserialise(message: BagMessage) -> Any:
    """Fields of a message of a common ROS 2 type or SceneLabel; raises BagError if the bytes do not fit."""
    # A forged length or offset fails in as many ways as there are field types, and each means the same.
    try:
        return bag_typestore().deserialize_cdr(message.cdr, message.type_name)
    except Exception as error:
        raise BagError(
            f"a message of {message.topic} at {message.stamp_ns} ns is no {message.type_name} ({error!r})"
        ) from error


class _Bag:
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
        if self.folder.is_packed and self.folder.types:
            return dict(sorted(self.folder.types.items()))
        found: dict[str, str] = {}
        unread: list[str] = []
        for file in self.folder.files:
            with _opened(file) as storage:
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

    def facts(self, topic: str) -> BagFacts:
        times: list[tuple[int, int]] = []
        samples: list[str] = []
        for file in self.folder.files:
            if not file.exists():
                samples.append("")
                continue
            if file.suffix == ".zstd":
                # What is packed tells as much, unread.
                samples.append(sampled_digest(file))
                continue
            with _opened(file) as storage:
                if isinstance(storage, Loss):
                    samples.append(sampled_digest(file))
                    continue
                samples.append(storage.samples(topic))
                if (found := storage.times_ns()) is not None:
                    times.append(found)
        return BagFacts(
            topic,
            tuple((file.name, file.stat().st_size if file.exists() else 0) for file in self.folder.files),
            self.count(topic),
            min((first for first, _ in times), default=None),
            max((last for _, last in times), default=None),
            tuple(samples),
        )


def _count(file: Path, topic: str) -> Count:
    with _opened(file) as storage:
        return Count(0, 1, True) if isinstance(storage, Loss) else storage.count(topic)


def _messages(bag: _Bag, wanted: set[str], on_damage: Callable[[BagDamage], None] | None) -> Iterator[BagMessage]:
    positions: Counter[str] = Counter()
    unheard: list[BagDamage] = []
    tell = on_damage or unheard.append
    gaps: Counter[str] = Counter()
    for number, file in enumerate(bag.folder.files):
        with _opened(file) as storage:
            for found in [storage] if isinstance(storage, Loss) else storage.read(wanted):
                if isinstance(found, Stored):
                    cdr = _unpacked(found)
                    if isinstance(cdr, bytes):
                        positions[found.topic] += 1
                        place = positions[found.topic]
                        yield BagMessage(found.topic, found.type_name, found.stamp_ns, cdr, place)
                        continue
                    found = Loss(f"{cdr} in {file.name}", {found.topic: 1})
                for topic in sorted(wanted):
                    damage = _damage(bag, number, found, topic, positions[topic] + 1, is_first=not gaps[topic])
                    if damage is not None:
                        positions[topic] += damage.lost
                        gaps[topic] += not damage.is_exact
                        tell(damage)
    if unheard:
        raise BagError(unheard[0].sentence)


def _damage(bag: _Bag, number: int, loss: Loss, topic: str, position: int, *, is_first: bool) -> BagDamage | None:
    """What a loss in a file means for one topic; None if nothing of it is lost."""
    lost = None if loss.counts is None else loss.counts.get(topic, 0)
    if lost is None and loss.is_end and is_first:
        lost = bag.missing(number, topic, position)
    if lost == 0:
        return None
    if lost is None:
        gone = "how many messages are missing there is not known"
    else:
        last = position + lost - 1
        gone = f"message {position} is lost" if lost == 1 else f"messages {position} to {last} are lost"
    file = bag.folder.files[number]
    cure = _CURES[".db3" if ".db3" in file.name else ".mcap"].format(file=file.name)
    mended = f"; {cure} makes a whole bag of it" if file.exists() and file.stat().st_size else ""
    sentence = (
        f"bag {bag.path} {'was broken off while it was recorded' if loss.is_cut else 'is damaged'}: {loss.reason}; of "
        f"topic {topic} {position - 1} messages came before it, and {gone}; what can be read is read{mended}"
    )
    return BagDamage(topic, position, lost or 1, lost is not None, sentence)


def _unpacked(stored: Stored) -> bytes | str:
    """The message as it crossed DDS, or why it cannot be had."""
    if stored.encoding != "cdr":
        return f"a message is written as {stored.encoding!r}, and only 'cdr' is known,"
    # Every CDR message begins with 0.
    if not stored.data.startswith(ZSTD_MAGIC):
        return stored.data
    try:
        with zstandard.ZstdDecompressor().stream_reader(stored.data) as reader:
            data = reader.read(LARGEST_MESSAGE_BYTES + 1)
    except zstandard.ZstdError as error:
        return f"a compressed message is damaged ({error})"
    if len(data) > LARGEST_MESSAGE_BYTES:
        return f"a compressed message is of more than {LARGEST_MESSAGE_BYTES} bytes,"
    return data


@contextmanager
def _opened(file: Path) -> Iterator[StorageFile | Loss]:
    """A storage file, whatever its name says it is; a Loss if nothing of it can be read."""
    with ExitStack() as stack:
        try:
            opened = _open(file, stack)
            stack.callback(opened.close)
            storage: StorageFile | Loss = opened
        except StorageError as error:
            storage = Loss(f"{file.name} {error}", None, is_end=True)
        except FileNotFoundError:
            storage = Loss(f"{file.name}, which metadata.yaml names, is not there", None, is_end=True)
        yield storage


def _open(file: Path, stack: ExitStack) -> StorageFile:
    with file.open("rb") as opened:
        start = opened.read(len(_SQLITE_MAGIC))
    if start.startswith(ZSTD_MAGIC) or file.suffix == ".zstd":
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="satllm-bag-")))
        unpacked = folder / file.name.removesuffix(".zstd")
        _unpack_file(file, unpacked)
        return _open(unpacked, stack)
    is_database = start == _SQLITE_MAGIC or (file.suffix == ".db3" and not start.startswith(b"\x89MCAP"))
    return SqliteFile(file) if is_database else McapFile(file)


def _unpack_file(source: Path, target: Path) -> None:
    """Unpack a whole file; of a damaged one, what precedes the damage."""
    with source.open("rb") as packed, target.open("wb") as unpacked:
        try:
            with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as reader:
                shutil.copyfileobj(reader, unpacked, 1 << 20)
        except zstandard.ZstdError:
            # The storage's own reader finds that it was cut off.
            return


def _find(path: Path | str, topic: str, topics: Collection[str]) -> str:
    name = "/" + topic.lstrip("/")
    for present in topics:
        if present in (topic, name):
            return present
    raise BagError(f"bag {path} has no topic {topic}; its topics are {_listed(topics)}")


def _listed(topics: Collection[str]) -> str:
    return ", ".join(topics) if topics else "none at all"
