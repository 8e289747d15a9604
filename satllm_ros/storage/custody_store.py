"""Optional durable copies of what sensing has in custody: a live camera's batches survive the death of the process."""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from pathlib import Path

from satllm_ros.data.tiles import Tile
from satllm_ros.storage.database import open_database

# Kind and version of the file, another one than those of the stores of predictions.
_VERSION = 2002
_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    boot_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    source_id TEXT NOT NULL,
    tiles BLOB NOT NULL,
    PRIMARY KEY (boot_id, sequence)
)
"""
# Frame, tile index, time of acquisition [ns], length of the tile's bytes that follow.
_TILE = struct.Struct("<QIqI")


class CustodyStore:
    """Batches on disk from the moment they are accepted until they are delivered or dropped.

    Each keeps the source of its tiles, which all have the same: that of the life of sensing that heard them.
    Bounded by custody, which accepts no more than `copies_batches`, and what was delivered since this was last told so.
    Used by one thread.

    Raises
    ------
    BadDatabaseError
        If the file is damaged, of an older version, of another run than `run_id`, or another program's.
    """

    def __init__(self, path: Path, *, run_id: int | None = None) -> None:
        self._path = path
        self._database = open_database(path, _SCHEMA, _VERSION, run_id=run_id)

    def read(self) -> list[list[Tile]]:
        """Batches that earlier lives left, oldest first."""
        rows = self._database.execute("SELECT source_id, tiles FROM batches ORDER BY rowid").fetchall()
        return [_unpack(source_id, blob, self._path) for source_id, blob in rows]

    def restart(self, boot_id: int, batches: Sequence[tuple[int, Sequence[Tile]]]) -> None:
        """Replace all that is there by these batches (sequence, tiles) of a new life, in one transaction."""
        with self._database:
            self._database.execute("DELETE FROM batches")
            self._database.executemany(
                "INSERT INTO batches VALUES (?,?,?,?)", [_row(boot_id, n, tiles) for n, tiles in batches]
            )

    def add(self, boot_id: int, sequence: int, tiles: Sequence[Tile]) -> None:
        """Write a batch; returns once it is on disk."""
        with self._database:
            self._database.execute("INSERT INTO batches VALUES (?,?,?,?)", _row(boot_id, sequence, tiles))

    def keep_only(self, sequences: Collection[int]) -> None:
        """Forget all batches but these: the others are delivered or dropped."""
        with self._database:
            there = [row[0] for row in self._database.execute("SELECT sequence FROM batches")]
            gone = [(sequence,) for sequence in there if sequence not in sequences]
            self._database.executemany("DELETE FROM batches WHERE sequence = ?", gone)

    def close(self) -> None:
        self._database.close()


def _row(boot_id: int, sequence: int, tiles: Sequence[Tile]) -> tuple[str, int, str, bytes]:
    return str(boot_id), sequence, tiles[0].source_id, _pack(tiles)


def _pack(tiles: Sequence[Tile]) -> bytes:
    parts = []
    for tile in tiles:
        parts += [_TILE.pack(tile.frame, tile.tile_index, tile.acquired_ns, len(tile.data)), tile.data]
    return b"".join(parts)


def _unpack(source_id: str, blob: bytes, path: Path) -> list[Tile]:
    tiles: list[Tile] = []
    place = 0
    while place < len(blob):
        try:
            frame, tile_index, acquired_ns, size = _TILE.unpack_from(blob, place)
        except struct.error:
            raise ValueError(f"{path} holds a batch that breaks off after {len(tiles)} tiles") from None
        place += _TILE.size
        if place + size > len(blob):
            raise ValueError(f"{path} holds a batch that breaks off after {len(tiles)} tiles")
        tiles.append(Tile(source_id, frame, tile_index, acquired_ns, blob[place : place + size]))
        place += size
    return tiles
