"""Durable store of a satellite: SQLite, one row per batch of predictions, kept until the ground has it."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

from satllm_ros.protocol.delivery import REMEMBERED_DELIVERIES, Restored, batch_key
from satllm_ros.protocol.identity import BatchId
from satllm_ros.protocol.vocabulary import Cause
from satllm_ros.storage.database import open_database

# Two days of a batch every ten seconds without contact, and more than sensing keeps copies of.
MAX_UNDELIVERED_BATCHES = 16384

# What the protocol holds of a message that is written: it is read again when it is sent.
ON_DISK = b""

# Kind and version of the file, another one than that of the ground's store.
BATCHES_VERSION = 1002
_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    place INTEGER PRIMARY KEY,
    boot_id TEXT NOT NULL,
    sequence TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    message BLOB,
    crc32 INTEGER NOT NULL,
    delivery INTEGER,
    refusal INTEGER,
    cause INTEGER,
    UNIQUE (boot_id, sequence)
);
CREATE INDEX IF NOT EXISTS deliveries ON batches (delivery, refusal)
"""


class StoreFullError(sqlite3.OperationalError):
    """More batches wait for the ground than the store takes."""


class BatchStore:
    """Serialized predictions that survive a power cut: `write` returns only after the file system has them.

    Bounds: at most `MAX_UNDELIVERED_BATCHES` batches wait for the ground; of delivered ones the identities of the
    `REMEMBERED_DELIVERIES` newest are kept, their messages are freed; of those that the ground refused for good as
    many are kept whole, for whoever wants to know what they were. The file grows to what once waited at a time;
    freed room is used again. In memory it keeps no batch. One caller at a time.

    `run_id` is the run of this computer, None where none began on it: such a store takes whatever comes, and the ground
    judges.

    Raises
    ------
    BadDatabaseError
        If the file is damaged, of an older version, of another run, or another program's.
    """

    def __init__(self, path: Path, *, run_id: int | None = None) -> None:
        self._database = open_database(path, _SCHEMA, BATCHES_VERSION, run_id=run_id)
        self._deliveries, self._refusals = self._database.execute(
            "SELECT COALESCE(MAX(delivery), 0), COALESCE(MAX(refusal), 0) FROM batches"
        ).fetchone()

    def restore(self) -> Iterator[Restored[bytes]]:
        """All that earlier lives wrote, oldest first: the payload is `ON_DISK`, or None if the ground has the batch or
        has refused it.

        A message that does not match its checksum is forgotten, as if it had never come: sensing sends it again.
        """
        rows = self._database.execute(
            "SELECT boot_id, sequence, attempt, message, crc32, delivery, cause FROM batches"
            " ORDER BY delivery IS NULL, COALESCE(delivery, refusal, place)"
        )
        corrupted = []
        for boot_id, sequence, attempt, message, crc32, delivery, cause in rows:
            batch = BatchId(int(boot_id), int(sequence), attempt)
            if delivery is not None:
                yield Restored(batch, None)
            elif cause is not None:
                yield Restored(batch, None, Cause(cause))
            elif message is not None and zlib.crc32(message) == crc32:
                yield Restored(batch, ON_DISK)
            else:
                corrupted.append(batch)
        for batch in corrupted:
            self.forget(batch)

    def write(self, batch: BatchId, message: bytes) -> None:
        """Store a message in one durable transaction.

        Raises
        ------
        sqlite3.Error
            If the disk is full or broken, or too many batches wait for the ground; nothing is then stored.
        """
        if (waiting := self.undelivered()) >= MAX_UNDELIVERED_BATCHES:
            raise StoreFullError(f"{waiting} batches wait for the ground; allowed are {MAX_UNDELIVERED_BATCHES}")
        with self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO batches (boot_id, sequence, attempt, message, crc32) VALUES (?,?,?,?,?)",
                (*_key(batch), batch.attempt, message, zlib.crc32(message)),
            )

    def message(self, batch: BatchId) -> bytes | None:
        """The message of a batch as it was written; None if it is not there, or not whole any more."""
        found = self._database.execute(
            "SELECT message, crc32 FROM batches WHERE boot_id = ? AND sequence = ?", _key(batch)
        ).fetchone()
        if found is None or found[0] is None or zlib.crc32(found[0]) != found[1]:
            return None
        payload: bytes = found[0]
        return payload

    def mark_delivered(self, batch: BatchId) -> None:
        """Note that the ground has a batch, and free its message; not synced, since losing it costs only a re-send."""
        self._database.execute("PRAGMA synchronous=NORMAL")
        try:
            with self._database:
                marked = self._database.execute(
                    "UPDATE batches SET message = NULL, delivery = ?, refusal = NULL, cause = NULL"
                    " WHERE boot_id = ? AND sequence = ? AND delivery IS NULL",
                    (self._deliveries + 1, *_key(batch)),
                ).rowcount
                self._database.execute(
                    "DELETE FROM batches WHERE delivery <= ?", (self._deliveries + marked - REMEMBERED_DELIVERIES,)
                )
        finally:
            self._database.execute("PRAGMA synchronous=FULL")
        self._deliveries += marked

    def set_aside(self, batch: BatchId, cause: Cause) -> None:
        """Note durably that the ground refused a batch for good: it is kept, and not sent again."""
        with self._database:
            marked = self._database.execute(
                "UPDATE batches SET refusal = ?, cause = ?"
                " WHERE boot_id = ? AND sequence = ? AND delivery IS NULL AND refusal IS NULL",
                (self._refusals + 1, int(cause), *_key(batch)),
            ).rowcount
            self._database.execute(
                "DELETE FROM batches WHERE delivery IS NULL AND refusal <= ?",
                (self._refusals + marked - REMEMBERED_DELIVERIES,),
            )
        self._refusals += marked

    def forget(self, batch: BatchId) -> None:
        """Delete a batch."""
        with self._database:
            self._database.execute("DELETE FROM batches WHERE boot_id = ? AND sequence = ?", _key(batch))

    def undelivered(self) -> int:
        """Batches that the ground has neither acknowledged nor refused for good."""
        found = self._database.execute("SELECT COUNT(*) FROM batches WHERE delivery IS NULL AND refusal IS NULL")
        return int(found.fetchone()[0])

    def close(self) -> None:
        self._database.close()


def _key(batch: BatchId) -> tuple[str, str]:
    # As text: SQLite's integers have a sign, these use all 64 bits.
    boot_id, sequence = batch_key(batch)
    return str(boot_id), str(sequence)
