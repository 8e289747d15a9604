"""Bags as crashes, full disks and other tools leave them: what can be read is read, and the rest is said."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path

import mcap_layouts
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap_layouts import Layout, Message
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from satllm_ros.data.rosbag import bag_samples
from satllm_ros.data.rosbag.bag import (
    BagDamage,
    BagError,
    BagMessage,
    bag_facts,
    bag_topics,
    count_messages,
    image_topic,
    read_messages,
)
from satllm_ros.data.rosbag.typestore import bag_typestore

IMAGE, OTHER = "/camera", "/imu"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
TYPES = {IMAGE: COMPRESSED, OTHER: "std_msgs/msg/String"}
START = 1_700_000_000 * 10**9
# Twelve images, and now and then another message among them.
MESSAGES = [Message(OTHER if n % 4 == 3 else IMAGE, START + n, b"\0\1\0\0" + bytes([n]) * (300 + n)) for n in range(16)]
IMAGES = [message.data for message in MESSAGES if message.topic == IMAGE]
LAYOUTS = [
    Layout(chunk, compression, summary, statistics, index)
    for chunk, compression, (summary, statistics), index in product(
        (3, 16), ("", "zstd", "lz4"), ((True, True), (True, False), (False, False)), (True, False)
    )
] + [Layout(chunk=0), Layout(chunk=0, has_statistics=False), Layout(chunk=0, has_summary=False)]
UNHURRIED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(path: Path, topic: str = IMAGE) -> tuple[list[BagMessage], list[BagDamage]]:
    """All messages of a topic, and the damage, checked for what holds of every bag."""
    damages: list[BagDamage] = []
    messages = list(read_messages(path, [topic], damages.append))
    places = [message.position for message in messages]
    lost = [place for damage in damages for place in range(damage.position, damage.position + damage.lost)]
    assert sorted(places + lost) == list(range(1, len(places) + len(lost) + 1)), "every place is told once"
    assert places == sorted(places)
    again = list(read_messages(path, [topic], lambda _: None))
    assert [(m.position, m.cdr) for m in again] == [(m.position, m.cdr) for m in messages]
    if damages:
        with pytest.raises(BagError) as raised:
            for message, expected in zip(read_messages(path, [topic]), [*messages, None], strict=False):
                assert message == expected
        assert str(raised.value) == damages[0].sentence
    return messages, damages


def total(messages: list[BagMessage], damages: list[BagDamage]) -> int:
    return len(messages) + sum(damage.lost for damage in damages)


def bodies(messages: Iterable[BagMessage]) -> list[bytes]:
    return [message.cdr for message in messages]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_every_layout_is_read_and_counted(layout: Layout, tmp_path: Path) -> None:
    file = tmp_path / "a.mcap"
    file.write_bytes(mcap_layouts.make(MESSAGES, TYPES, layout).content)
    assert bag_topics(file) == TYPES and image_topic(file) == IMAGE
    messages, damages = read(file)
    assert bodies(messages) == IMAGES and not damages
    assert count_messages(file, IMAGE) == 12 and count_messages(file, OTHER) == 4
    facts = bag_facts(file)
    assert (facts.first_ns, facts.last_ns) == (START, START + 15)


def test_messages_come_as_they_were_written_whatever_their_times(tmp_path: Path) -> None:
    backwards = [Message(m.topic, START + 100 - n, m.data) for n, m in enumerate(MESSAGES)]
    for layout in (Layout(), Layout(has_summary=False)):
        (tmp_path / "a.mcap").write_bytes(mcap_layouts.make(backwards, TYPES, layout).content)
        messages, damages = read(tmp_path / "a.mcap")
        assert bodies(messages) == IMAGES and not damages


@UNHURRIED
@given(layout=st.sampled_from(LAYOUTS), share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_broken_off_anywhere_gives_its_beginning(layout: Layout, share: float, tmp_path: Path) -> None:
    made = mcap_layouts.make(MESSAGES, TYPES, layout)
    size = int(share * len(made.content))
    file = tmp_path / "a.mcap"
    file.write_bytes(made.content[:size])
    try:
        messages, damages = read(file)
    except BagError:
        # Not even the topic's name was written.
        assert size < (made.chunks[0][1] if layout.compression else 600)
        return
    assert bodies(messages) == IMAGES[: len(messages)]
    assert count_messages(file, IMAGE) == total(messages, damages)
    if size < made.data_end:
        assert [damage.is_exact for damage in damages] == [False]
        assert "was broken off while it was recorded" in damages[0].sentence
        assert "mcap recover" in damages[0].sentence and "needs no ROS" in damages[0].sentence
    else:
        assert len(messages) == 12
    whole = [end for _, end in made.chunks if end <= size]
    assert len(messages) >= sum(m.topic == IMAGE for m in MESSAGES[: len(whole) * layout.chunk])


@pytest.mark.parametrize("layout", [Layout(c, z, s, s, i) for c in (3, 1) for z in ("", "zstd") for s in (True, False)
                                    for i in (True, False)], ids=str)  # fmt: skip
def test_a_file_that_ends_with_a_chunk_has_every_message_of_it(layout: Layout, tmp_path: Path) -> None:
    made = mcap_layouts.make(MESSAGES, TYPES, layout)
    for number, (_, end) in enumerate(made.chunks, start=1):
        (tmp_path / "a.mcap").write_bytes(made.content[:end])
        messages, damages = read(tmp_path / "a.mcap")
        assert len(messages) == sum(m.topic == IMAGE for m in MESSAGES[: number * layout.chunk])
        assert len(damages) == 1 and "no end record" in damages[0].sentence


@pytest.mark.parametrize("compression", ["", "zstd", "lz4"])
@pytest.mark.parametrize(
    ("summary", "index", "is_exact"), [(True, True, True), (False, True, True), (False, False, False)]
)
def test_a_damaged_chunk_costs_its_messages_and_no_place_of_later_ones(
    compression: str, summary: bool, index: bool, is_exact: bool, tmp_path: Path
) -> None:
    made = mcap_layouts.make(MESSAGES, TYPES, Layout(4, compression, summary, summary, index))
    start, end = made.chunks[1]
    content = bytearray(made.content)
    content[(start + end) // 2] ^= 0x55
    file = tmp_path / "a.mcap"
    file.write_bytes(content)
    messages, (damage,) = read(file)
    assert bodies(messages) == IMAGES[:3] + IMAGES[6:]
    assert (damage.position, damage.lost, damage.is_exact) == (4, 3 if is_exact else 1, is_exact)
    assert "is damaged" in damage.sentence and "a.mcap" in damage.sentence
    assert count_messages(file, IMAGE) == total(messages, [damage])
    if is_exact:
        assert [message.position for message in messages] == [1, 2, 3, 7, 8, 9, 10, 11, 12]


@pytest.mark.parametrize("summary", [True, False])
@pytest.mark.parametrize("length", [0, 7, 2**63, 2**64 - 1])
def test_a_damaged_length_costs_one_chunk(length: int, summary: bool, tmp_path: Path) -> None:
    made = mcap_layouts.make(MESSAGES, TYPES, Layout(4, "", summary, summary))
    start = made.chunks[1][0]
    content = bytearray(made.content)
    content[start + 1 : start + 9] = length.to_bytes(8, "little")
    (tmp_path / "a.mcap").write_bytes(content)
    messages, damages = read(tmp_path / "a.mcap")
    assert bodies(messages) == IMAGES[:3] + IMAGES[6:]
    if summary:
        assert [message.position for message in messages][3:] == [7, 8, 9, 10, 11, 12]
    else:
        assert damages and not damages[0].is_exact


def test_messages_outside_chunks_go_on_after_a_damaged_one(tmp_path: Path) -> None:
    content = bytearray(mcap_layouts.make(MESSAGES, TYPES, Layout(chunk=0)).content)
    place = content.find(IMAGES[3]) - 31
    assert content[place] == 5
    content[place + 1 : place + 9] = b"\xff" * 8
    (tmp_path / "a.mcap").write_bytes(content)
    messages, (damage,) = read(tmp_path / "a.mcap")
    assert bodies(messages) == IMAGES[:3] + IMAGES[4:] and damage.position == 4


@UNHURRIED
@given(
    layout=st.sampled_from(LAYOUTS),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=12)), min_size=1),
)
def test_no_damage_of_a_file_does_harm(layout: Layout, changes: list[tuple[float, bytes]], tmp_path: Path) -> None:
    content = bytearray(mcap_layouts.make(MESSAGES, TYPES, layout).content)
    for share, value in changes:
        place = int(share * len(content))
        content[place : place + len(value)] = value[: len(content) - place]
    file = tmp_path / "a.mcap"
    file.write_bytes(content)
    try:
        read(file)
        count_messages(file, IMAGE)
        bag_facts(file)
    except BagError:
        pass


# Bags of a folder, in both storages

MakeBag = Callable[..., Path]


@pytest.fixture
def make_bag(tmp_path: Path) -> MakeBag:
    """(plugin, number, mode) -> folder of a bag of compressed images as rosbag2 writes it."""

    def make(
        plugin: StoragePlugin = StoragePlugin.MCAP,
        count: int = 12,
        mode: CompressionMode = CompressionMode.NONE,
        name: str = "bag",
        seed: int = 0,
        size: int = 3000,
    ) -> Path:
        store = bag_typestore()
        generator = np.random.default_rng(seed)
        stamp = store.types["builtin_interfaces/msg/Time"](sec=1, nanosec=2)
        header = store.types["std_msgs/msg/Header"](stamp=stamp, frame_id="")
        writer = Writer(tmp_path / name, version=8, storage_plugin=plugin)
        if mode is not CompressionMode.NONE:
            writer.set_compression(mode, CompressionFormat.ZSTD)
        with writer:
            connection = writer.add_connection(IMAGE, COMPRESSED, typestore=store)
            for number in range(count):
                data = generator.integers(0, 256, size, dtype=np.uint8)
                image = store.types[COMPRESSED](header=header, format="jpeg", data=data)
                writer.write(connection, START + number, store.serialize_cdr(image, COMPRESSED))
        return tmp_path / name

    return make


def storage_of(bag: Path) -> Path:
    return next(file for file in bag.iterdir() if file.name != "metadata.yaml")


def change_metadata(bag: Path, old: str, new: str) -> None:
    text = (bag / "metadata.yaml").read_text()
    assert old in text
    (bag / "metadata.yaml").write_text(text.replace(old, new))


PLUGINS = pytest.mark.parametrize("plugin", list(StoragePlugin))


@PLUGINS
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("storage_identifier: mcap", 'storage_identifier: ""'),
        ("storage_identifier: mcap", "storage_identifier: null"),
        ("storage_identifier: mcap", "storage_identifier: no_such"),
        ("message_count: 12", "message_count: 0"),
        ("message_count: 12", "message_count: 11"),
        ("message_count: 12", "message_count: 13"),
        ("message_count: 12", "message_count: none"),
        ("version: 8", "version: 99"),
        ("relative_file_paths:", "other:"),
        ("rosbag2_bagfile_information:", "something_else:"),
    ],
)
def test_the_storage_is_believed_and_not_the_metadata(
    plugin: StoragePlugin, old: str, new: str, make_bag: MakeBag
) -> None:
    bag = make_bag(plugin)
    change_metadata(bag, old.replace("mcap", plugin.name.lower()), new)
    messages, damages = read(bag)
    assert len(messages) == 12 and not damages and count_messages(bag, IMAGE) == 12


@PLUGINS
@pytest.mark.parametrize("content", [None, b"", b"rosbag2_bagfile_information:\n  version: [", b"\xff\xfe\0", b"[]"])
def test_metadata_may_be_absent_or_half_written(
    plugin: StoragePlugin, content: bytes | None, make_bag: MakeBag
) -> None:
    bag = make_bag(plugin)
    (bag / "metadata.yaml").unlink()
    if content is not None:
        (bag / "metadata.yaml").write_bytes(content)
    assert len(read(bag)[0]) == 12 and image_topic(bag) == IMAGE


@PLUGINS
def test_storage_is_known_by_its_content_and_not_its_name(plugin: StoragePlugin, make_bag: MakeBag) -> None:
    bag = make_bag(plugin)
    (bag / "metadata.yaml").unlink()
    storage_of(bag).rename(bag / ("a.db3" if plugin is StoragePlugin.MCAP else "a.mcap"))
    assert len(read(bag)[0]) == 12


def parts(make_bag: MakeBag, tmp_path: Path, plugin: StoragePlugin, numbers: Iterable[int]) -> Path:
    """A bag in several files of three images each, without metadata."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for number in numbers:
        made = storage_of(make_bag(plugin, 3, name=f"part{number}", seed=number))
        made.rename(folder / f"parts_{number}{made.suffix}")
    return folder


@PLUGINS
def test_files_come_in_the_order_of_their_numbers(plugin: StoragePlugin, make_bag: MakeBag, tmp_path: Path) -> None:
    bag = parts(make_bag, tmp_path, plugin, [10, 2, 1])
    expected = [
        cdr for number in (1, 2, 10) for cdr in bodies(read(tmp_path / "parts" / f"parts_{number}{_end(plugin)}")[0])
    ]
    messages, damages = read(bag)
    assert bodies(messages) == expected and not damages and count_messages(bag, IMAGE) == 9
    assert [name for name, _ in bag_facts(bag).files] == [f"parts_{n}{_end(plugin)}" for n in (1, 2, 10)]


def _end(plugin: StoragePlugin) -> str:
    return ".mcap" if plugin is StoragePlugin.MCAP else ".db3"


def write_metadata(bag: Path, files: list[str], count: int) -> None:
    topic = {"topic_metadata": {"name": IMAGE, "type": COMPRESSED}, "message_count": count}
    information = {"relative_file_paths": files, "topics_with_message_count": [topic]}
    (bag / "metadata.yaml").write_text(yaml.safe_dump({"rosbag2_bagfile_information": information}))


def test_a_missing_file_leaves_a_gap_of_its_size(make_bag: MakeBag, tmp_path: Path) -> None:
    bag = parts(make_bag, tmp_path, StoragePlugin.MCAP, [0, 1, 2])
    (bag / "parts_1.mcap").unlink()
    write_metadata(bag, [f"parts_{n}.mcap" for n in range(3)], 9)
    messages, (damage,) = read(bag)
    assert [message.position for message in messages] == [1, 2, 3, 7, 8, 9]
    assert (damage.position, damage.lost, damage.is_exact) == (4, 3, True)
    assert "parts_1.mcap" in damage.sentence and "not there" in damage.sentence and count_messages(bag, IMAGE) == 9


def test_a_file_begun_after_the_metadata_were_written_is_read_too(make_bag: MakeBag, tmp_path: Path) -> None:
    bag = parts(make_bag, tmp_path, StoragePlugin.MCAP, [0, 1, 2])
    (bag / "parts_1.mcap").rename(bag / "stray.mcap")
    write_metadata(bag, ["parts_0.mcap"], 3)
    messages, damages = read(bag)
    assert len(messages) == 6 and not damages


@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE])
@PLUGINS
def test_compressed_bags_are_read_with_and_without_metadata(
    plugin: StoragePlugin, mode: CompressionMode, make_bag: MakeBag
) -> None:
    plain = bodies(read(make_bag(plugin, name="plain"))[0])
    bag = make_bag(plugin, mode=mode)
    for _ in range(2):
        messages, damages = read(bag)
        assert bodies(messages) == plain and not damages and count_messages(bag, IMAGE) == 12
        (bag / "metadata.yaml").unlink(missing_ok=True)


@settings(UNHURRIED, max_examples=15)
@given(share=st.floats(0, 1, exclude_max=True))
@pytest.mark.parametrize("suffix", ["zstd", ""])
@PLUGINS
def test_what_was_recorded_before_the_cut_flies(
    plugin: StoragePlugin, suffix: str, share: float, make_bag: MakeBag, tmp_path: Path
) -> None:
    bag = tmp_path / "bag"
    original = tmp_path / "original"
    if not bag.exists():
        make_bag(plugin, mode=CompressionMode.FILE if suffix else CompressionMode.NONE)
        original.write_bytes(storage_of(bag).read_bytes())
    content = original.read_bytes()
    storage_of(bag).write_bytes(content[: int(share * len(content))])
    try:
        messages, damages = read(bag)
    except BagError as error:
        assert "cannot be read" in str(error) and share < 0.5
        return
    assert len(messages) + sum(damage.lost for damage in damages) == 12 == count_messages(bag, IMAGE)
    assert all(damage.is_exact for damage in damages)
    change_metadata(bag, "message_count: 12", "message_count: 0")
    without, unknown = read(bag)
    assert bodies(without) == bodies(messages) and all(not damage.is_exact for damage in unknown)
    assert bool(unknown) or not damages
    change_metadata(bag, "message_count: 0", "message_count: 12")


def test_a_cut_database_gives_most_of_what_is_there(make_bag: MakeBag) -> None:
    bag = make_bag(StoragePlugin.SQLITE3, 200)
    content = storage_of(bag).read_bytes()
    storage_of(bag).write_bytes(content[: len(content) * 7 // 10])
    messages, (damage,) = read(bag)
    assert len(messages) > 120 and damage.position == len(messages) + 1 and damage.lost == 200 - len(messages)
    assert "broken off" in damage.sentence and "sqlite3" in damage.sentence and "needs no ROS" in damage.sentence


def test_a_damaged_page_of_a_database_costs_its_rows(make_bag: MakeBag) -> None:
    bag = make_bag(StoragePlugin.SQLITE3, 200, size=100)
    file = storage_of(bag)
    whole = bodies(read(bag)[0])
    content = bytearray(file.read_bytes())
    place = content.find(whole[100])
    page = place // 4096 * 4096
    content[page : page + 4096] = bytes(4096)
    file.write_bytes(content)
    messages, (damage,) = read(bag)
    assert damage.is_exact and 1 < damage.lost < 60 and damage.position <= 101 < damage.position + damage.lost
    assert all(message.cdr == whole[message.position - 1] for message in messages)
    assert count_messages(bag, IMAGE) == 200


def test_what_stands_in_the_log_of_a_database_is_read(make_bag: MakeBag, tmp_path: Path) -> None:
    bag = make_bag(StoragePlugin.SQLITE3)
    file = storage_of(bag)
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("INSERT INTO messages SELECT id + 100, topic_id, timestamp, data FROM messages")
    connection.commit()
    killed = tmp_path / "killed"
    killed.mkdir()
    for ending in ("", "-wal"):
        (killed / (file.name + ending)).write_bytes(file.with_name(file.name + ending).read_bytes())
    connection.close()
    before = (killed / file.name).read_bytes()
    messages, damages = read(killed)
    assert len(messages) == 24 and not damages and count_messages(killed, IMAGE) == 24
    assert bag_facts(killed) == bag_facts(killed)
    assert (killed / file.name).read_bytes() == before, "nothing of the user's is changed"


@UNHURRIED
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=200))
def test_no_damage_of_a_database_does_harm(changes: list[tuple[float, int]], make_bag: MakeBag, tmp_path: Path) -> None:
    bag, original = tmp_path / "bag", tmp_path / "original"
    if not bag.exists():
        make_bag(StoragePlugin.SQLITE3, 40, size=500)
        original.write_bytes(storage_of(bag).read_bytes())
    content = bytearray(original.read_bytes())
    for share, value in changes:
        content[int(share * len(content))] = value
    storage_of(bag).write_bytes(content)
    try:
        read(bag)
        count_messages(bag, IMAGE)
        bag_facts(bag)
    except BagError:
        pass


@PLUGINS
def test_a_bag_without_messages_has_none(plugin: StoragePlugin, make_bag: MakeBag) -> None:
    bag = make_bag(plugin, 0)
    assert read(bag) == ([], []) and count_messages(bag, IMAGE) == 0
    assert bag_facts(bag).first_ns is None


@pytest.mark.parametrize("name", ["a.mcap", "a.db3"])
@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"\x89MCAP0\r\n", b"SQLite format 3\0"])
def test_a_file_that_holds_nothing_is_refused_by_name(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / name).write_bytes(content)
    with pytest.raises(BagError, match=r"cannot be read: a\.|has no image topic"):
        image_topic(tmp_path / "bag")


@PLUGINS
def test_a_message_that_cannot_be_unpacked_keeps_its_place(plugin: StoragePlugin, make_bag: MakeBag) -> None:
    bag = make_bag(plugin, mode=CompressionMode.MESSAGE)
    whole = bodies(read(bag)[0])
    content = bytearray(storage_of(bag).read_bytes())
    place = -1
    for _ in range(5):
        place = content.find(b"\x28\xb5\x2f\xfd", place + 1)
    # A frame whose header is of a reserved kind.
    content[place + 4] = 0xFF
    storage_of(bag).write_bytes(content)
    messages, (damage,) = read(bag)
    assert (damage.lost, damage.is_exact) == (1, True)
    assert all(message.cdr == whole[message.position - 1] for message in messages) and len(messages) == 11


# What tells one bag from another


@PLUGINS
@pytest.mark.parametrize("mode", [CompressionMode.NONE, CompressionMode.FILE])
def test_facts_are_the_same_for_a_bag_and_others_for_another(
    plugin: StoragePlugin, mode: CompressionMode, make_bag: MakeBag
) -> None:
    bag = make_bag(plugin, mode=mode)
    facts = bag_facts(bag)
    list(read_messages(bag))
    assert bag_facts(bag) == facts and facts.messages == 12 and facts.topic == IMAGE
    # The same sizes, counts and times.
    other = bag_facts(make_bag(plugin, mode=mode, name="other", seed=1))
    assert other.messages == facts.messages and other.samples != facts.samples


def test_one_changed_image_of_a_bag_of_usual_size_is_noticed(make_bag: MakeBag) -> None:
    bag = make_bag(size=20_000)
    facts = bag_facts(bag)
    content = bytearray(storage_of(bag).read_bytes())
    content[len(content) // 2] ^= 1
    storage_of(bag).write_bytes(content)
    assert bag_facts(bag).files == facts.files and bag_facts(bag) != facts


def test_a_large_file_is_sampled_from_end_to_end(tmp_path: Path) -> None:
    file = tmp_path / "large"
    size = 40 << 30
    digests = set()
    for place in (None, 0, 1 << 15, size - 1):
        with file.open("wb") as opened:
            opened.truncate(size)
            if place is not None:
                opened.seek(place)
                opened.write(b"x")
        digests.add(bag_samples.sampled_digest(file))
    assert len(digests) == 4
