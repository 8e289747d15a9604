"""A source is known by what it holds, not by where it is; what differs is said in words."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.data.manifest import CAMERA, Manifest, ManifestError

FOLDER = Manifest("folder", "/a/day1", (("1.jpg", 10), ("2.jpg", 20)), {})
BAG = Manifest("bag", "/a/bag", (("bag.mcap", 99),), {"topic": "/camera", "count": 5, "first": "ab"})
ENTRIES = st.tuples(st.text(min_size=1, max_size=5), st.integers(0, 2**40))
NAMES = st.lists(ENTRIES, max_size=6, unique_by=lambda entry: entry[0])


def test_a_source_that_was_moved_is_the_same_one() -> None:
    assert replace(FOLDER, path="/elsewhere").source_id == FOLDER.source_id
    assert FOLDER.difference(replace(FOLDER, path="/elsewhere")) == ""


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (replace(FOLDER, entries=(*FOLDER.entries, ("3.jpg", 5))), "now has 1 image more (3.jpg)"),
        (replace(FOLDER, entries=FOLDER.entries[:1]), "now has 1 image less (2.jpg)"),
        (replace(FOLDER, entries=(("1.jpg", 11), ("2.jpg", 21))), "now has 2 images of another size (1.jpg, 2.jpg)"),
        (replace(FOLDER, entries=(("9.jpg", 10),), path="/a/day2"), "this is /a/day2, which holds other files"),
        (Manifest(CAMERA, "image", (), {}), "is of the folder /a/day1, this is the topic image"),
    ],
)
def test_what_differs_is_named(now: Manifest, words: str) -> None:
    assert words in FOLDER.difference(now)


def test_a_bag_is_known_by_its_topic_and_its_messages() -> None:
    other_topic = replace(BAG, content={**BAG.content, "topic": "/other"})
    assert BAG.difference(other_topic) == "is of topic /camera of bag /a/bag, this is /other"
    other_content = replace(BAG, content={**BAG.content, "first": "cd"})
    assert "other content in files of the same names and sizes" in BAG.difference(other_content)
    assert BAG.frames == 5 and FOLDER.frames == 2


def test_a_folder_goes_on_while_something_of_it_is_there() -> None:
    changed = replace(FOLDER, entries=(("0.jpg", 1), ("2.jpg", 20)))
    assert FOLDER.is_carried_on_by(changed)
    assert not FOLDER.is_carried_on_by(replace(changed, path="/a/day2"))
    assert not FOLDER.is_carried_on_by(replace(FOLDER, entries=(("0.jpg", 1), ("2.jpg", 21))))
    assert not BAG.is_carried_on_by(BAG)


@given(NAMES, NAMES)
def test_two_folders_are_one_only_if_names_sizes_and_order_agree(one: list, other: list) -> None:
    first, second = (Manifest("folder", "x", tuple(entries), {}) for entries in (one, other))
    assert (first.source_id == second.source_id) == (one == other)
    assert bool(first.difference(second)) == (one != other)
    assert Manifest.from_json(first.to_json()) == first


@pytest.mark.parametrize(
    "document",
    [{}, {**FOLDER.to_json(), "entries": [["1.jpg"]]}, {**FOLDER.to_json(), "entries": []}, {"id": 1, "kind": []}],
)
def test_a_document_that_is_no_manifest_is_refused(document: dict) -> None:
    with pytest.raises(ManifestError):
        Manifest.from_json(document)
