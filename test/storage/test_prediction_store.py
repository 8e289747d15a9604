import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from satllm_ros.protocol.identity import UINT64_MAX, Epoch, TileKey
from satllm_ros.storage.batch_store import BatchStore
from satllm_ros.storage.custody_store import CustodyStore
from satllm_ros.storage.database import BadDatabaseError
from satllm_ros.storage.prediction_store import PredictionStore, StoredTile


def tile(frame: int, label: int = 3, *, index: int = 0, source: str = "camera", written_s: float = 2.0) -> StoredTile:
    return StoredTile(TileKey(source, frame, index), label, 1.5, written_s, "1" * 16, Epoch(UINT64_MAX, 2), "2" * 16)


def test_what_is_written_is_read_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "tiles.sqlite"
    store = PredictionStore(path)
    assert store.write([tile(1), tile(2, 7, written_s=1.0)]) == 2
    store.close()
    again = PredictionStore(path)
    assert list(again.read()) == [tile(2, 7, written_s=1.0), tile(1)]
    assert again.count() == 2
    again.close()


def test_a_written_tile_survives_the_death_of_the_process(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from satllm_ros.storage.prediction_store import PredictionStore, StoredTile\n"
        "from satllm_ros.protocol.identity import Epoch, TileKey\n"
        "store = PredictionStore(Path(sys.argv[1]))\n"
        "store.write([StoredTile(TileKey('camera', 5, 0), 1, 0.0, 0.0, 'm', Epoch(1, 1), 'p')])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    package = Path(__file__).resolve().parents[2]
    died = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "t.sqlite")], env={**os.environ, "PYTHONPATH": str(package)}
    )
    assert died.returncode == -9
    store = PredictionStore(tmp_path / "t.sqlite")
    assert [stored.key.frame for stored in store.read()] == [5]
    store.close()


def test_every_commit_is_synced_to_disk(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path / "t.sqlite")
    full = 2
    assert store._database.execute("PRAGMA synchronous").fetchone() == (full,)
    store.close()


def test_a_copy_is_counted_and_keeps_the_first_prediction(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path / "t.sqlite")
    assert store.write([tile(1, 3)]) == 1
    assert store.write([tile(1, 9, written_s=50.0), tile(2, 4)]) == 1
    assert store.write([tile(1, 8)]) == 0
    kept = {stored.key.frame: (stored.label, stored.written_s, stored.copies) for stored in store.read()}
    assert kept == {1: (3, 2.0, 3), 2: (4, 2.0, 1)}
    store.close()


def test_the_same_tile_twice_in_one_batch_is_one_tile(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path / "t.sqlite")
    assert store.write([tile(1, 3), tile(1, 4)]) == 1
    assert [(stored.label, stored.copies) for stored in store.read()] == [(3, 2)]
    store.close()


def test_identity_is_source_frame_and_index(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path / "t.sqlite")
    assert store.write([tile(1), tile(1, index=1), tile(1, source="bag"), tile(11)]) == 4
    store.close()


def test_frame_numbers_use_all_64_bits(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path / "t.sqlite")
    frames = [0, 2**53 + 1, 2**63 - 1, 2**63, UINT64_MAX]
    assert store.write(tile(frame, written_s=float(i)) for i, frame in enumerate(frames)) == len(frames)
    assert store.write([tile(2**53), tile(UINT64_MAX - 1)]) == 2
    read = [stored.key.frame for stored in store.read()]
    assert sorted(read) == sorted([*frames, 2**53, UINT64_MAX - 1])
    store.close()


def test_a_batch_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path / "t.sqlite")
    store.write([tile(1)])
    with pytest.raises(sqlite3.IntegrityError):
        store.write([tile(1), tile(2), tile(3, None)])
    assert [(stored.key.frame, stored.copies) for stored in store.read()] == [(1, 1)]
    assert store.write([tile(2)]) == 1
    store.close()


def test_concurrent_writers_lose_and_double_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    stores = [PredictionStore(path), PredictionStore(path)]
    start = threading.Barrier(4)
    new: list[int] = []

    def write(number: int) -> None:
        start.wait(10)
        for batch in range(10):
            # Threads two by two write the same tiles.
            first = 1000 * (number // 2) + 5 * batch
            new.append(stores[number % 2].write(tile(frame) for frame in range(first, first + 5)))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(new) == stores[0].count() == 100
    assert {stored.copies for stored in stores[1].read()} == {2}
    for store in stores:
        store.close()


def test_a_row_says_what_made_it_and_the_store_whose_it_is(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    store = PredictionStore(path)
    assert store.run_id is None
    store.adopt(2**64 - 1)
    store.write([tile(1)])
    store.close()
    store = PredictionStore(path)
    assert store.run_id == 2**64 - 1
    (row,) = store.read()
    assert (row.model_id, row.epoch, row.plan_hash) == ("1" * 16, Epoch(UINT64_MAX, 2), "2" * 16)
    with pytest.raises(BadDatabaseError, match="of run f{16}, and this is run 0{15}7"):
        store.adopt(7)
    store.close()


@pytest.mark.parametrize(
    ("kind", "version"),
    [(PredictionStore, 1), (BatchStore, 1001), (CustodyStore, 2001)],
    ids=["ground", "satellite", "sensing"],
)
def test_a_file_of_an_older_version_and_one_of_another_run_are_refused_by_name(
    tmp_path: Path, kind: Any, version: int
) -> None:
    path = tmp_path / "kept.sqlite"
    kind(path, run_id=5).close()
    kind(path).close()
    with pytest.raises(BadDatabaseError, match=r"kept\.sqlite is of run 0{15}5, and this is run 0{15}6: move it away"):
        kind(path, run_id=6)
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(BadDatabaseError, match=r"kept\.sqlite was written by an older version .* choose another"):
        kind(path, run_id=5)
    assert path.read_bytes() == before
