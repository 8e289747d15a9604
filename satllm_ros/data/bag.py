"""Reading rosbag2 bags (MCAP or sqlite3) without ROS."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader

from satllm_ros.data.typestore import SCENE_LABEL, bag_typestore

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")


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
    """

    topic: str
    type_name: str
    stamp_ns: int
    cdr: bytes


def bag_topics(path: Path | str) -> dict[str, str]:
    """Topics of a bag and their types, sorted by name; raises BagError if the bag cannot be read."""
    with _open(path) as reader:
        return {connection.topic: connection.msgtype for connection in _by_topic(reader)}


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
    """Number of messages of a topic; raises BagError, listing the topics, if the topic is absent."""
    with _open(path) as reader:
        name = _find(path, topic, {connection.topic: connection.msgtype for connection in _by_topic(reader)})
        return sum(connection.msgcount for connection in reader.connections if connection.topic == name)


def read_messages(path: Path | str, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
    """Messages of a bag in the order they were recorded.

    Parameters
    ----------
    path
        Bag folder (with metadata.yaml), or a single .mcap or .db3 file.
    topics
        Names to read; all if None.

    Raises
    ------
    BagError
        At once if the path is no bag or a topic is absent; while reading if the storage is damaged or holds
        fewer messages than its index declares.
    """
    present = bag_topics(path)
    wanted = set(present) if topics is None else {_find(path, topic, present) for topic in topics}
    return _messages(path, wanted)


def deserialise(message: BagMessage) -> Any:
    """Fields of a message of a common ROS 2 type or SceneLabel; raises BagError if the bytes do not fit."""
    # A forged length or offset fails in as many ways as there are field types, and each means the same.
    try:
        return bag_typestore().deserialize_cdr(message.cdr, message.type_name)
    except Exception as error:
        raise BagError(
            f"a message of {message.topic} at {message.stamp_ns} ns is no {message.type_name} ({error!r})"
        ) from error


def _messages(path: Path | str, wanted: set[str]) -> Iterator[BagMessage]:
    with _open(path) as reader:
        connections = [connection for connection in reader.connections if connection.topic in wanted]
        # The library reads "no connections" as "no filter".
        if not connections:
            return
        declared = sum(connection.msgcount for connection in connections)
        count = 0
        for connection, stamp_ns, cdr in reader.messages(connections):
            yield BagMessage(connection.topic, connection.msgtype, stamp_ns, bytes(cdr))
            count += 1
    if count < declared:
        raise BagError(f"bag {path} is truncated: it holds {count} of the {declared} messages its index declares")


@contextmanager
def _open(path: Path | str) -> Iterator[Reader]:
    location = Path(path)
    if not location.exists():
        raise BagError(f"bag {location} does not exist")
    if location.is_dir() and not (location / "metadata.yaml").is_file():
        raise BagError(
            f"folder {location} is not a rosbag2 bag: it has no metadata.yaml (`ros2 bag reindex` makes one)"
        )
    if location.is_file() and location.suffix not in (".mcap", ".db3"):
        raise BagError(f"{location} is not a rosbag2 bag; allowed are a bag folder, an .mcap file or a .db3 file")
    # The library lets a damaged file surface as whatever its parser stumbled on (struct, sqlite3, assertion).
    try:
        with Reader(location) as reader:
            yield reader
    except (PermissionError, BagError):
        raise
    except Exception as error:
        raise BagError(f"bag {location} cannot be read, its storage is damaged or truncated: {error!r}") from error


def _by_topic(reader: Reader) -> list[Any]:
    return sorted(reader.connections, key=lambda connection: connection.topic)


def _find(path: Path | str, topic: str, topics: Collection[str]) -> str:
    name = "/" + topic.lstrip("/")
    for present in topics:
        if present in (topic, name):
            return present
    raise BagError(f"bag {path} has no topic {topic}; its topics are {_listed(topics)}")


def _listed(topics: Collection[str]) -> str:
    return ", ".join(topics) if topics else "none at all"
