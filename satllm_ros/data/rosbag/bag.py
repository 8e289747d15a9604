"""Reading rosbag2 bags (MCAP or sqlite3) without ROS, as they lie there: whole, unindexed, broken off or damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from satllm_ros.data.rosbag.bag_damage import BagDamage, damage_of
from satllm_ros.data.rosbag.bag_files import BagError, BagFiles
from satllm_ros.data.rosbag.bag_opening import opened_storage
from satllm_ros.data.rosbag.bag_samples import sampled_digest
from satllm_ros.data.rosbag.bag_storage import ZSTD_MAGIC, Loss, Stored
from satllm_ros.data.rosbag.typestore import SCENE_LABEL

__all__ = [
    "BagDamage",
    "BagError",
    "BagFacts",
    "BagMessage",
    "bag_facts",
    "bag_topics",
    "count_messages",
    "image_topic",
    "label_topic",
    "read_messages",
]

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
# A raw image of 8K with 16 bits a channel is a fifth of it; some kilobytes can claim to be any number of gigabytes.
LARGEST_MESSAGE_BYTES = 1 << 30


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
    return BagFiles(path).topics()


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
    bag = BagFiles(path)
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
    bag = BagFiles(path)
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
    return _facts(BagFiles(path), image_topic(path, topic))


def _facts(bag: BagFiles, topic: str) -> BagFacts:
    times: list[tuple[int, int]] = []
    samples: list[str] = []
    for file in bag.folder.files:
        if not file.exists():
            samples.append("")
            continue
        if file.suffix == ".zstd":
            # What is packed tells as much, unread.
            samples.append(sampled_digest(file))
            continue
        with opened_storage(file) as storage:
            if isinstance(storage, Loss):
                samples.append(sampled_digest(file))
                continue
            samples.append(storage.samples(topic))
            if (found := storage.times_ns()) is not None:
                times.append(found)
    return BagFacts(
        topic,
        tuple((file.name, file.stat().st_size if file.exists() else 0) for file in bag.folder.files),
        bag.count(topic),
        min((first for first, _ in times), default=None),
        max((last for _, last in times), default=None),
        tuple(samples),
    )


def _messages(bag: BagFiles, wanted: set[str], on_damage: Callable[[BagDamage], None] | None) -> Iterator[BagMessage]:
    positions: Counter[str] = Counter()
    unheard: list[BagDamage] = []
    tell = on_damage or unheard.append
    gaps: Counter[str] = Counter()
    for number, file in enumerate(bag.folder.files):
        with opened_storage(file) as storage:
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
                    damage = damage_of(bag, number, found, topic, positions[topic] + 1, is_first=not gaps[topic])
                    if damage is not None:
                        positions[topic] += damage.lost
                        gaps[topic] += not damage.is_exact
                        tell(damage)
    if unheard:
        raise BagError(unheard[0].sentence)


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


def _find(path: Path | str, topic: str, topics: Collection[str]) -> str:
    name = "/" + topic.lstrip("/")
    for present in topics:
        if present in (topic, name):
            return present
    raise BagError(f"bag {path} has no topic {topic}; its topics are {_listed(topics)}")


def _listed(topics: Collection[str]) -> str:
    return ", ".join(topics) if topics else "none at all"
