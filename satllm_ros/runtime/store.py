"""Durable store of predictions: SQLite, one row per tile, written before anything is acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from satllm_ros.runtime.database import open_database
from satllm_ros.runtime.identity import TileKey

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tiles (
    source_id TEXT NOT NULL,
    frame TEXT NOT NULL,
    tile_index INTEGER NOT NULL,
    label INTEGER NOT NULL,
    acquired_s REAL NOT NULL,
    written_s REAL NOT NULL,
    copies INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (source_id, frame, tile_index)
) WITHOUT ROWID
"""


@dataclass(frozen=True)
class StoredTile:
    """One prediction; times on the ROS clock [s]. `copies` counts how often it arrived."""

    key: TileKey
    label: int
    acquired_s: float
    written_s: float
    copies: int = 1


class PredictionStore:
    """Predictions that survive a power cut: `write` returns only after the file system has them.

    Duplicates are judged by tile identity: a tile that is already there keeps its first prediction and counts
    the copy.

    The file is what the mission is flown for, and nothing is ever deleted from it: about 100 bytes per tile. It
    keeps nothing in memory.

    Raises
    ------
    BadDatabaseError
        If the file is damaged, or another program's.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._database = open_database(path, _SCHEMA, _VERSION)

    def write(self, tiles: Iterable[StoredTile]) -> int:
        """Store tiles in one durable transaction; returns how many were new.

        Raises
        ------
        sqlite3.Error
            If the disk is full or broken; nothing of the batch is then stored.
        """
        rows = [
            (t.key.source_id, str(t.key.frame), t.key.tile_index, t.label, t.acquired_s, t.written_s) for t in tiles
        ]
        with self._lock, self._database:
            return sum(self._add(row) for row in rows)

    def count(self) -> int:
        """Tiles in the store."""
        with self._lock:
            return self._database.execute("SELECT COUNT(*) FROM tiles").fetchone()[0]

    def read(self, newest: int = -1) -> Iterator[StoredTile]:
        """Tiles in order of writing; only so many of the newest unless negative."""
        with self._lock:
            rows = self._database.execute(
                "SELECT source_id, frame, tile_index, label, acquired_s, written_s, copies FROM tiles"
                " ORDER BY written_s DESC LIMIT ?",
                (newest,),
            ).fetchall()
        for source_id, frame, tile_index, label, acquired_s, written_s, copies in reversed(rows):
            yield StoredTile(TileKey(source_id, int(frame), tile_index), label, acquired_s, written_s, copies)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _add(self, row: tuple[str, str, int, int, float, float]) -> bool:
        """Insert a tile, or count a copy of the one that is there; whether it was new."""
        new = self._database.execute(
            "INSERT INTO tiles (source_id, frame, tile_index, label, acquired_s, written_s) VALUES (?,?,?,?,?,?)"
            " ON CONFLICT DO NOTHING",
            row,
        ).rowcount
        if not new:
            self._database.execute(
                "UPDATE tiles SET copies = copies + 1 WHERE source_id = ? AND frame = ? AND tile_index = ?", row[:3]
            )
        return bool(new)
