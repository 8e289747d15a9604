"""SQLite files that survive a power cut, and are refused with a sentence when they are damaged or another program's."""

from __future__ import annotations

import sqlite3
from pathlib import Path

# SQLite's place for "whose file is this": "SatL" in ASCII.
_APPLICATION_ID = 0x5361744C


class BadDatabaseError(ValueError):
    """A file that must not be written to; the message names it and says why."""


def open_database(path: Path, schema: str, version: int) -> sqlite3.Connection:
    """Open a database file, or make one; commits return only after the file system has what was written.

    Parameters
    ----------
    schema
        SQL statements that make the tables if they are not there; run on an empty file.
    version
        Kind and version of the schema, 1 to 2^31-1: a file of another one is refused.

    Raises
    ------
    BadDatabaseError
        If the file is damaged, or not one of this kind.
    OSError
        If it cannot be read or made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        # SQLite's own sentence would not name the file.
        with path.open("r+b"):
            pass
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        _check(database, path, version)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        if _is_empty(database):
            marks = f"PRAGMA application_id={_APPLICATION_ID}; PRAGMA user_version={version}"
            database.executescript(f"BEGIN IMMEDIATE; {schema}; {marks}; COMMIT")
    except sqlite3.Error as error:
        database.close()
        raise BadDatabaseError(f"{path} cannot be used as a store: {error}") from None
    except BadDatabaseError:
        database.close()
        raise
    return database


def _is_empty(database: sqlite3.Connection) -> bool:
    return database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,)


def _check(database: sqlite3.Connection, path: Path, version: int) -> None:
    if _is_empty(database):
        return
    found = tuple(database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if found != (_APPLICATION_ID, version):
        raise BadDatabaseError(
            f"{path} is a database of application {found[0]}, version {found[1]};"
            f" this store needs application {_APPLICATION_ID}, version {version}: move it away"
        )
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise BadDatabaseError(f"{path} is damaged: {verdict}; move it away")
