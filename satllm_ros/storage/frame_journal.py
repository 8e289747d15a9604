"""Sensing's journal: which frames it acquired or dropped, and its books; the ground's report is checked against it.

One SQLite file in sensing's state directory. It outlives the process by plain writes; it is not forced to disk, so that
a power cut may cost the last rows: what was flown is in the ground's store, which is.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from satllm_ros.storage.database import BadDatabaseError, open_database, open_read_only

JOURNAL_NAME = "sensing.frames.sqlite"
# Kind and version of the file.
_VERSION = 3001
_SCHEMA = """
CREATE TABLE frames (
    source_id TEXT NOT NULL,
    frame TEXT NOT NULL,
    name TEXT NOT NULL,
    height INTEGER NOT NULL,
    width INTEGER NOT NULL,
    tiles INTEGER NOT NULL,
    stamp_ns INTEGER,
    arrival_ns INTEGER NOT NULL,
    digest TEXT NOT NULL,
    cause TEXT NOT NULL,
    PRIMARY KEY (source_id, frame)
) WITHOUT ROWID;
CREATE TABLE books (boot_id TEXT PRIMARY KEY, place INTEGER NOT NULL, content TEXT NOT NULL)
"""
_COLUMNS = "source_id, frame, name, height, width, tiles, stamp_ns, arrival_ns, digest, cause"
_WRITE = f"""
INSERT INTO frames ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)
ON CONFLICT (source_id, frame) DO UPDATE SET
    height = CASE WHEN excluded.cause <> '' AND height > 0 THEN height ELSE excluded.height END,
    width = CASE WHEN excluded.cause <> '' AND height > 0 THEN width ELSE excluded.width END,
    tiles = CASE WHEN excluded.cause <> '' AND height > 0 THEN tiles ELSE excluded.tiles END,
    stamp_ns = COALESCE(stamp_ns, excluded.stamp_ns),
    arrival_ns = MIN(arrival_ns, excluded.arrival_ns),
    digest = CASE WHEN digest <> '' THEN digest ELSE excluded.digest END,
    cause = excluded.cause
"""


@dataclass(frozen=True)
class FrameRow:
    """One frame that was acquired, or dropped before it was sent.

    Attributes
    ----------
    name
        Path of the file relative to its folder; `topic#position` of a bag; the topic of a camera.
    height, width
        Size of the frame as it was cut [pixel]; 0 where nobody knows it.
    tiles
        Tiles it was cut into, or would have been; 1 for a frame whose size is not known.
    stamp_ns, arrival_ns
        The image's own stamp, None without one, and the ROS time at which sensing had it [ns since 1970].
    digest
        First 16 hexadecimal digits of the SHA-256 of the file or message as it was read; empty for a camera.
    cause
        Why it was dropped; empty if its tiles went to custody.
    """

    source_id: str
    frame: int
    name: str
    height: int
    width: int
    tiles: int
    stamp_ns: int | None
    arrival_ns: int
    digest: str
    cause: str


class KnownFrame(NamedTuple):
    """A frame as it was first read: its digest, empty if nothing of it could be read, and its tiles."""

    digest: str
    tiles: int


@dataclass(frozen=True)
class Books:
    """The ledger of one life of sensing, as it last published it; in tiles but for the frames.

    Attributes
    ----------
    in_custody
        Tiles by the place they were at, in words.
    causes
        Tiles by the cause they were dropped for, before they were sent and after.
    unheard_frames
        Images that a camera published and sensing did not hear, as far as the middleware tells.
    frames_total
        Frames that the source will have had in the end, as far as known; None of a camera.
    closed
        The life has ended in order: nothing will follow.
    restored_tiles
        Tiles of a camera among the acquired ones that an earlier life had acquired, and kept on disk for this one.
    """

    boot_id: int
    acquired_tiles: int = 0
    delivered_tiles: int = 0
    in_custody: dict[str, int] = field(default_factory=dict)
    causes: dict[str, int] = field(default_factory=dict)
    unheard_frames: int = 0
    frames_total: int | None = None
    end_of_stream: bool = False
    closed: bool = False
    restored_tiles: int = 0


@dataclass(frozen=True)
class Journal:
    """What is on disk at one moment: frames by source and number, books in the order of lives."""

    rows: tuple[FrameRow, ...]
    books: tuple[Books, ...]

    @property
    def frames_total(self) -> int | None:
        """Images of the source, as sensing last said it; None if nobody knows."""
        return self.books[-1].frames_total if self.books else None


class FrameJournal:
    """Written by one life of sensing; the rows of earlier lives stay.

    Raises
    ------
    BadDatabaseError
        If the file is damaged, another program's or another run's.
    """

    def __init__(self, path: Path, *, run_id: int | None = None) -> None:
        self._lock = threading.Lock()
        self._database = open_database(path, _SCHEMA, _VERSION, run_id=run_id)
        self._database.execute("PRAGMA synchronous=NORMAL")

    def known(self, source_id: str) -> dict[int, KnownFrame]:
        """What earlier lives read of a source, by frame."""
        with self._lock:
            rows = self._database.execute(
                "SELECT frame, digest, tiles FROM frames WHERE source_id = ?", (source_id,)
            ).fetchall()
        return {int(frame): KnownFrame(digest, tiles) for frame, digest, tiles in rows}

    def write(self, rows: Iterable[FrameRow]) -> None:
        """Note frames; of one that is there, read again, stays what its first tiles were of.

        That is its first arrival and content, and, if it is dropped this time, its size and number of tiles: some of
        them may have come down.

        Raises
        ------
        sqlite3.Error
            If the disk is full or broken; none of them is then noted.
        """
        values = [tuple(asdict(row).values()) for row in rows]
        # As text: SQLite's integers have a sign, a frame uses all 64 bits.
        values = [(source, str(frame), *rest) for source, frame, *rest in values]
        with self._lock, self._database:
            self._database.executemany(_WRITE, values)

    def keep_books(self, books: Books) -> None:
        """Replace the books of this life; raises `sqlite3.Error` if the disk is full or broken."""
        content = {name: value for name, value in asdict(books).items() if name != "boot_id"}
        with self._lock, self._database:
            self._database.execute(
                "INSERT INTO books VALUES (?, (SELECT COUNT(*) FROM books), ?)"
                " ON CONFLICT (boot_id) DO UPDATE SET content = excluded.content",
                (str(books.boot_id), json.dumps(content)),
            )

    def close(self) -> None:
        with self._lock:
            self._database.close()


def read_journal(path: Path) -> Journal:
    """Read a journal, also while sensing writes it.

    Raises
    ------
    FileNotFoundError
        If there is none.
    BadDatabaseError
        If it cannot be read, or is of another kind or version.
    """
    return _read(path, with_rows=True)


def read_books(path: Path) -> tuple[Books, ...]:
    """The books alone, which takes no time; raises as `read_journal`."""
    return _read(path, with_rows=False).books


def _read(path: Path, *, with_rows: bool) -> Journal:
    database = open_read_only(path, _VERSION)
    try:
        # One transaction, so that rows and books are of one moment.
        database.execute("BEGIN")
        rows = tuple(_rows(database)) if with_rows else ()
        books = tuple(
            Books(boot_id=int(boot_id), **json.loads(content))
            for boot_id, content in database.execute("SELECT boot_id, content FROM books ORDER BY place")
        )
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise BadDatabaseError(f"{path} cannot be read as sensing's journal: {error}") from None
    finally:
        database.close()
    return Journal(rows, books)


def _rows(database: sqlite3.Connection) -> Iterator[FrameRow]:
    found = database.execute(f"SELECT {_COLUMNS} FROM frames ORDER BY source_id, CAST(frame AS INTEGER)")
    for source_id, frame, *rest in found:
        yield FrameRow(source_id, int(frame), *rest)
