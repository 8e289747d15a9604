"""Durable store of predictions: SQLite, one row per tile, written before anything is acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from satllm_ros.protocol.identity import Epoch, TileKey
from satllm_ros.storage.database import open_database, owner_of, take_over

# Kind and version of the file.
PREDICTIONS_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tiles (
    source_id TEXT NOT NULL,
    frame TEXT NOT NULL,
    tile_index INTEGER NOT NULL,
    label INTEGER NOT NULL,
    model_id TEXT NOT NULL,
    incarnation TEXT NOT NULL,
    counter TEXT NOT NULL,
    plan_hash TEXT NOT NULL,
    acquired_s REAL NOT NULL,
    written_s REAL NOT NULL,
    copies INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (source_id, frame, tile_index)
) WITHOUT ROWID
"""
_COLUMNS = "source_id, frame, tile_index, label, model_id, incarnation, counter, plan_hash, acquired_s, written_s"


@dataclass(frozen=True)
class StoredTile:
    """One prediction; times on the ROS clock [s]. `copies` counts how often it arrived.

    `model_id`, `epoch` and `plan_hash` say what made it: a label means something only beside its model.
    """

    key: TileKey
    label: int
    acquired_s: float
    written_s: float
    model_id: str
    epoch: Epoch
    plan_hash: str
    copies: int = 1


class PredictionStore:
    """Predictions that survive a power cut: `write` returns only after the file system has them.

    Duplicates are judged by tile identity: a tile that is already there keeps its first prediction and counts
    the copy.

    The file is what the mission is flown for, and nothing is ever deleted from it: about 150 bytes per tile. It
    keeps nothing in memory. All of it is of one run, `run_id`: it is given, or found in the file, or adopted later.

    Raises
    ------
    BadDatabaseError
        If the file is damaged, of an older version, of another run, or another program's.
    """

    def __init__(self, path: Path, *, run_id: int | None = None) -> None:
        self._lock = threading.Lock()
        self._path = path
        self._database = open_database(path, _SCHEMA, PREDICTIONS_VERSION, run_id=run_id)
        self._run_id = owner_of(self._database)

    @property
    def run_id(self) -> int | None:
        """The run that all predictions are of; None as long as nobody has said it."""
        return self._run_id

    def adopt(self, run_id: int) -> None:
        """Keep durably to this run.

        Raises
        ------
        BadDatabaseError
            If the store is of another one.
        sqlite3.Error
            If the disk is full or broken.
        """
        with self._lock:
            take_over(self._database, self._path, run_id)
            self._run_id = run_id

    def write(self, tiles: Iterable[StoredTile]) -> int:
        """Store tiles in one durable transaction; returns how many were new.

        Raises
        ------
        sqlite3.Error
            If the disk is full or broken; nothing of the batch is then stored.
        """
        rows = [
            (
                *(t.key.source_id, str(t.key.frame), t.key.tile_index, t.label),
                # As text: SQLite's integers have a sign, these use all 64 bits.
                *(t.model_id, str(t.epoch.incarnation), str(t.epoch.counter), t.plan_hash),
                *(t.acquired_s, t.written_s),
            )
            for t in tiles
        ]
        with self._lock, self._database:
            return sum(self._add(row) for row in rows)

    def count(self) -> int:
        """Tiles in the store."""
        with self._lock:
            return int(self._database.execute("SELECT COUNT(*) FROM tiles").fetchone()[0])

    def read(self, newest: int = -1) -> Iterator[StoredTile]:
        """Tiles in order of writing; only so many of the newest unless negative."""
        with self._lock:
            rows = self._database.execute(
                f"SELECT {_COLUMNS}, copies FROM tiles ORDER BY written_s DESC LIMIT ?", (newest,)
            ).fetchall()
        for source_id, frame, index, label, model_id, incarnation, counter, plan_hash, *rest in reversed(rows):
            acquired_s, written_s, copies = rest
            key, epoch = TileKey(source_id, int(frame), index), Epoch(int(incarnation), int(counter))
            yield StoredTile(key, label, acquired_s, written_s, model_id, epoch, plan_hash, copies)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _add(self, row: tuple[str | int | float, ...]) -> bool:
        """Insert a tile, or count a copy of the one that is there; whether it was new."""
        new = self._database.execute(
            f"INSERT INTO tiles ({_COLUMNS}) VALUES (?{',?' * (len(row) - 1)}) ON CONFLICT DO NOTHING", row
        ).rowcount
        if not new:
            self._database.execute(
                "UPDATE tiles SET copies = copies + 1 WHERE source_id = ? AND frame = ? AND tile_index = ?", row[:3]
            )
        return bool(new)
