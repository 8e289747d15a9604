"""Every store on a disk that fills and has room again: what was written stays, what was not is refused whole."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from satllm_ros.data.tiles import Tile
from satllm_ros.protocol.identity import BatchId, Epoch, TileKey
from satllm_ros.storage.batch_store import BatchStore
from satllm_ros.storage.custody_store import CustodyStore
from satllm_ros.storage.frame_journal import FrameJournal, FrameRow, read_journal
from satllm_ros.storage.prediction_store import PredictionStore, StoredTile

MANY = 20
TEXT = "x" * 5000


def write_batch(store: BatchStore, number: int) -> None:
    store.write(BatchId(1, number), TEXT.encode())


def batches(path: Path) -> set[int]:
    return {restored.batch.sequence for restored in BatchStore(path).restore()}


def write_predictions(store: PredictionStore, number: int) -> None:
    tiles = [StoredTile(TileKey(f"{number}{TEXT}", number, k), 1, 0.0, 0.0, "model", Epoch(1, 1), "") for k in range(3)]
    store.write(tiles)


def predictions(path: Path) -> set[int]:
    frames = [tile.key.frame for tile in PredictionStore(path).read()]
    assert all(frames.count(frame) == 3 for frame in frames)
    return set(frames)


def write_custody(store: CustodyStore, number: int) -> None:
    store.add(1, number, [Tile("camera-1", number, 0, 0, TEXT.encode())])


def custody(path: Path) -> set[int]:
    return {tiles[0].frame for tiles in CustodyStore(path).read()}


def write_frames(journal: FrameJournal, number: int) -> None:
    journal.write([FrameRow(f"s{k}", number, TEXT, 64, 64, 1, None, 0, "", "") for k in range(3)])


def frames(path: Path) -> set[int]:
    numbers = [row.frame for row in read_journal(path).rows]
    assert all(numbers.count(number) == 3 for number in numbers)
    return set(numbers)


@pytest.mark.parametrize(
    ("open_store", "write", "read"),
    [
        (BatchStore, write_batch, batches),
        (PredictionStore, write_predictions, predictions),
        (CustodyStore, write_custody, custody),
        (FrameJournal, write_frames, frames),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_disk_that_fills_and_has_room_again(
    tmp_path: Path,
    open_store: Callable[[Path], Any],
    write: Callable[[Any, int], None],
    read: Callable[[Path], set[int]],
) -> None:
    path = tmp_path / "store.sqlite"
    store = open_store(path)
    (pages,) = store._database.execute("PRAGMA page_count").fetchone()
    store._database.execute(f"PRAGMA max_page_count = {pages + 20}")
    kept, refused = set(), set()
    for number in range(MANY):
        try:
            write(store, number)
            kept.add(number)
        except sqlite3.Error as error:
            assert "full" in str(error)
            refused.add(number)
    assert kept and refused
    assert read(path) == kept
    store._database.execute(f"PRAGMA max_page_count = {pages + 10_000}")
    for number in refused:
        write(store, number)
    store.close()
    assert read(path) == set(range(MANY))
