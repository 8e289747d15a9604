"""Sensing's durable copies: what was accepted outlives the process, what is damaged is named."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satllm_ros.data.tiles import Tile
from satllm_ros.storage.batch_store import BatchStore
from satllm_ros.storage.custody_store import CustodyStore

TILES = st.lists(
    st.builds(
        Tile,
        st.just("camera-1"),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**63 - 1),
        st.binary(max_size=50),
    ),
    min_size=1,
    max_size=4,
)
BATCH = [Tile("camera-1", 7, 0, 1_000, b"abc"), Tile("camera-1", 7, 1, 1_000, b"")]


@settings(max_examples=20, deadline=None)
@given(batches=st.lists(TILES, max_size=4))
def test_batches_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, batches: list[list[Tile]]) -> None:
    path = tmp_path_factory.mktemp("store") / "custody.sqlite"
    store = CustodyStore(path)
    for sequence, tiles in enumerate(batches):
        store.add(2**64 - 1, sequence, tiles)
    store.close()

    assert CustodyStore(path).read() == batches


def test_a_new_life_takes_the_batches_over_and_forgets_what_is_delivered(tmp_path: Path) -> None:
    store = CustodyStore(tmp_path / "custody.sqlite")
    store.add(1, 5, BATCH)
    store.add(1, 6, BATCH[:1])
    store.restart(2, list(enumerate(store.read())))
    store.keep_only({1})
    store.close()

    assert CustodyStore(tmp_path / "custody.sqlite").read() == [BATCH[:1]]


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "custody.sqlite"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(ValueError, match=r"custody\.sqlite cannot be used as a store: file is not a database"):
        CustodyStore(path)


def test_a_foreign_table_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "custody.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE batches (theirs)")
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"custody\.sqlite is a database of application 0, version 0; .* move it away"):
        CustodyStore(path)
    assert path.read_bytes() == before


def test_a_store_of_predictions_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sat1.predictions.sqlite"
    BatchStore(path).close()
    with pytest.raises(ValueError, match="version 1002"):
        CustodyStore(path)


@pytest.mark.parametrize("cut", [1, 5, 23, 24, 26])
def test_a_damaged_batch_is_named(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "custody.sqlite"
    store = CustodyStore(path)
    store.add(1, 0, BATCH[:1])
    store.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE batches SET tiles = substr(tiles, 1, ?)", (cut,))

    with pytest.raises(ValueError, match="breaks off after 0 tiles"):
        CustodyStore(path).read()


def test_a_batch_keeps_the_source_of_the_life_that_heard_it(tmp_path: Path) -> None:
    store = CustodyStore(tmp_path / "custody.sqlite")
    ours = [Tile("camera-2", 7, 0, 1_000, b"abc")]
    store.restart(2, [(0, BATCH)])
    store.add(2, 1, ours)
    store.close()
    assert CustodyStore(tmp_path / "custody.sqlite").read() == [BATCH, ours]
