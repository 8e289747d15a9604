from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from bag_fields import fields_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import StoragePlugin, Writer

from satllm_ros.data.rosbag.bag import (
    BagError,
    bag_topics,
    count_messages,
    image_topic,
    label_topic,
    read_messages,
)
from satllm_ros.data.rosbag.bag_writer import IMAGE_TOPIC, LABEL_TOPIC, PERIOD_NS, START_NS, LabelledFrame, write_bag
from satllm_ros.data.rosbag.typestore import SCENE_LABEL, bag_typestore, message_definition

COMPRESSED = "sensor_msgs/msg/CompressedImage"


@pytest.fixture
def frames(encode_image: Callable[..., bytes]) -> list[LabelledFrame]:
    return [
        LabelledFrame(encode_image(i, format="PNG" if i == 3 else "JPEG"), i % 3, f"class {i % 3}", f"{i}.jpg")
        for i in range(7)
    ]


@pytest.fixture
def bag(tmp_path: Path, frames: list[LabelledFrame]) -> Path:
    assert write_bag(tmp_path / "bag", frames) == len(frames)
    return tmp_path / "bag"


def string_bag(path: Path, topics: Sequence[tuple[str, str]], plugin: StoragePlugin = StoragePlugin.MCAP) -> Path:
    """A bag with one message on each topic (name, type)."""
    store = bag_typestore()
    header = store.types["std_msgs/msg/Header"](
        stamp=store.types["builtin_interfaces/msg/Time"](sec=1, nanosec=2), frame_id=""
    )
    messages = {
        "std_msgs/msg/String": store.types["std_msgs/msg/String"](data="hello"),
        COMPRESSED: store.types[COMPRESSED](header=header, format="jpeg", data=np.arange(9, dtype=np.uint8)),
        SCENE_LABEL: store.types[SCENE_LABEL](header=header, label=4, class_name="Lake"),
    }
    with Writer(path, version=8, storage_plugin=plugin) as writer:
        for number, (topic, type_name) in enumerate(topics):
            connection = writer.add_connection(topic, type_name, typestore=store)
            writer.write(connection, 10 + number, store.serialize_cdr(messages[type_name], type_name))
    return path


def test_written_frames_are_read_back_byte_for_byte(bag: Path, frames: list[LabelledFrame]) -> None:
    assert image_topic(bag) == IMAGE_TOPIC
    assert label_topic(bag) == LABEL_TOPIC
    assert count_messages(bag, IMAGE_TOPIC) == count_messages(bag, LABEL_TOPIC) == len(frames)
    messages = list(read_messages(bag))
    assert [message.topic for message in messages] == [LABEL_TOPIC, IMAGE_TOPIC] * len(frames)
    for number, frame in enumerate(frames):
        label, image = (fields_of(message) for message in messages[2 * number : 2 * number + 2])
        assert bytes(image.data) == frame.image
        assert (label.label, label.class_name) == (frame.label, frame.class_name)
        assert image.format == ("png" if number == 3 else "jpeg")
        stamp_ns = START_NS + number * PERIOD_NS
        for message, content in zip(messages[2 * number : 2 * number + 2], (label, image), strict=True):
            assert message.stamp_ns == stamp_ns
            assert content.header.stamp.sec * 10**9 + content.header.stamp.nanosec == stamp_ns


def test_the_same_frames_give_the_same_files(bag: Path, tmp_path: Path, frames: list[LabelledFrame]) -> None:
    write_bag(tmp_path / "again" / "bag", frames)
    for name in ("bag.mcap", "metadata.yaml"):
        assert (bag / name).read_bytes() == (tmp_path / "again" / "bag" / name).read_bytes()


def test_metadata_are_what_every_rosbag2_since_humble_reads(bag: Path) -> None:
    information = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert information["version"] == 8
    assert information["storage_identifier"] == "mcap"
    assert information["files"][0]["message_count"] == information["message_count"] == 14
    for topic in information["topics_with_message_count"]:
        # Up to version 8, QoS is a string of YAML with rmw's numbers: 1 is keep last, and reliable.
        (qos,) = yaml.safe_load(topic["topic_metadata"]["offered_qos_profiles"])
        assert (qos["history"], qos["reliability"], qos["durability"]) == (1, 1, 2)


def test_the_label_type_is_defined_by_the_shipped_message_file() -> None:
    fields = [line.split() for line in message_definition("SceneLabel").splitlines() if line and line[0] != "#"]
    assert fields == [["std_msgs/Header", "header"], ["uint32", "label"], ["string", "class_name"]]


@pytest.mark.parametrize("image", [b"", b"GIF89a", b"II*\x00"])
def test_a_frame_in_another_format_leaves_no_bag(image: bytes, tmp_path: Path, frames: list[LabelledFrame]) -> None:
    with pytest.raises(BagError, match=r"image odd\.gif is neither JPEG nor PNG"):
        write_bag(tmp_path / "bag", [*frames, LabelledFrame(image, 0, "x", "odd.gif")])
    assert not (tmp_path / "bag").exists()


def test_no_frames_and_an_existing_folder_are_refused(tmp_path: Path, bag: Path, frames: list[LabelledFrame]) -> None:
    with pytest.raises(BagError, match="no frames"):
        write_bag(tmp_path / "empty", [])
    assert not (tmp_path / "empty").exists()
    with pytest.raises(BagError, match="exists already"):
        write_bag(bag, frames)
    assert count_messages(bag, IMAGE_TOPIC) == len(frames)


@pytest.mark.parametrize("plugin", list(StoragePlugin))
def test_both_storages_and_bare_files_are_read(plugin: StoragePlugin, tmp_path: Path) -> None:
    folder = string_bag(tmp_path / "bag", [("/a", "std_msgs/msg/String"), ("/b", COMPRESSED)], plugin)
    file = next(file for file in folder.iterdir() if file.suffix in (".mcap", ".db3"))
    for path in (folder, file):
        assert bag_topics(path) == {"/a": "std_msgs/msg/String", "/b": COMPRESSED}
        assert [message.topic for message in read_messages(path)] == ["/a", "/b"]
        (image,) = read_messages(path, ["b"])
        assert bytes(fields_of(image).data) == bytes(range(9))


def test_an_image_topic_is_chosen_or_the_topics_are_listed(tmp_path: Path) -> None:
    text = ("/chatter", "std_msgs/msg/String")
    none = string_bag(tmp_path / "none", [text])
    with pytest.raises(BagError, match="no image topic .* its topics are /chatter"):
        image_topic(none)
    two = string_bag(tmp_path / "two", [text, ("/left", COMPRESSED), ("/right", COMPRESSED)])
    with pytest.raises(BagError, match="2 image topics, choose one: /left, /right"):
        image_topic(two)
    assert image_topic(two, "/right") == image_topic(two, "right") == "/right"
    with pytest.raises(BagError, match="no topic /up; its topics are /chatter, /left, /right"):
        image_topic(two, "/up")
    with pytest.raises(BagError, match="/chatter .* is a std_msgs/msg/String"):
        image_topic(two, "/chatter")
    with pytest.raises(BagError, match="its topics are none at all"):
        image_topic(string_bag(tmp_path / "blank", []))


def test_labels_are_none_one_or_refused(tmp_path: Path) -> None:
    assert label_topic(string_bag(tmp_path / "none", [("/image", COMPRESSED)])) is None
    with pytest.raises(BagError, match="2 satllm_ros/msg/SceneLabel topics"):
        label_topic(string_bag(tmp_path / "two", [("/a", SCENE_LABEL), ("/b", SCENE_LABEL)]))


def test_an_absent_topic_is_refused_before_the_first_message(bag: Path) -> None:
    with pytest.raises(BagError, match=f"no topic /x; its topics are {IMAGE_TOPIC}, {LABEL_TOPIC}"):
        read_messages(bag, ["/x"])
    with pytest.raises(BagError, match="no topic /x"):
        count_messages(bag, "/x")
    assert list(read_messages(bag, [])) == []


def test_what_is_no_bag_is_said_to_be_none(tmp_path: Path, bag: Path) -> None:
    (tmp_path / "image.jpg").touch()
    for file in bag.iterdir():
        file.unlink()
    for path, message in (
        (tmp_path / "nothing", "does not exist"),
        (tmp_path / "image.jpg", "not a rosbag2 bag; allowed are"),
        (bag, "holds no .mcap and no .db3 file"),
    ):
        with pytest.raises(BagError, match=message):
            bag_topics(path)


@pytest.fixture(params=list(StoragePlugin))
def storage_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Storage file of a bag with two messages, in each format."""
    path = string_bag(tmp_path / "bag", [("/a", COMPRESSED), ("/b", SCENE_LABEL)], request.param)
    return next(file for file in path.iterdir() if file.suffix in (".mcap", ".db3"))


def read_with(file: Path, content: bytes) -> int | None:
    """Messages read from the bag once its storage holds `content`; None if it is refused."""
    original = file.read_bytes()
    file.write_bytes(content)
    try:
        return sum(1 for _ in read_messages(file.parent))
    except BagError:
        return None
    finally:
        file.write_bytes(original)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_bag_is_refused_or_read_but_never_crashes(
    storage_file: Path, changes: list[tuple[float, int]]
) -> None:
    content = bytearray(storage_file.read_bytes())
    for position, value in changes:
        content[int(position * len(content))] = value
    assert read_with(storage_file, bytes(content)) in (None, 2)
