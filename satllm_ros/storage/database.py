"""SQLite files that survive a power cut, and are refused with a sentence when they are damaged, old or another's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

# SQLite's place for "whose file is this": "SatL" in ASCII.
_APPLICATION_ID = 0x5361744C
_OWNER = "CREATE TABLE owner (run_id TEXT)"
# A version is kind * 1000 + number.
_KIND = 1000


class BadDatabaseError(ValueError):
    """A file that must not be written to; the message names it and says why."""


def open_database(path: Path, schema: str, version: int, *, run_id: int | None = None) -> sqlite3.Connection:
    """Open a database file, or make one; commits return only after the file system has what was written.

    Parameters
    ----------
    schema
        SQL statements that make the tables; run on an empty file.
    version
        Kind and version of the schema, 1 to 2^31-1, kind in the thousands: a file of another one is refused.
    run_id
        The run that the file belongs to, if it is known: a file of another run is refused, one of none is taken over.

    Raises
    ------
    BadDatabaseError
        If the file is damaged, of an older version, of another run, or not one of this kind.
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
            owner = f"{_OWNER}; INSERT INTO owner VALUES (NULL)"
            database.executescript(f"BEGIN IMMEDIATE; {schema}; {owner}; {marks}; COMMIT")
        if run_id is not None:
            take_over(database, path, run_id)
    except sqlite3.Error as error:
        database.close()
        raise BadDatabaseError(f"{path} cannot be used as a store: {error}") from None
    except BadDatabaseError:
        database.close()
        raise
    return database


def open_read_only(path: Path, version: int) -> sqlite3.Connection:
    """Open a file that another process may be writing; raises as `open_database`, and `FileNotFoundError`."""
    if not path.exists():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    database = _connect_read_only(path)
    try:
        _check_version(database, path, version)
    except sqlite3.Error as error:
        database.close()
        raise BadDatabaseError(f"{path} cannot be read as a store: {error}") from None
    except BadDatabaseError:
        database.close()
        raise
    return database


def read_owner(path: Path, version: int) -> int | None:
    """The run that a file belongs to; None if that was never said, or another process is only just making the file.

    Raises
    ------
    BadDatabaseError
        If the file is damaged, of an older version, or not one of this kind.
    """
    with closing(_connect_read_only(path)) as database:
        try:
            if _is_empty(database):
                return None
            _check_version(database, path, version)
            return owner_of(database)
        except sqlite3.Error as error:
            raise BadDatabaseError(f"{path} cannot be read as a store: {error}") from None


def owner_of(database: sqlite3.Connection) -> int | None:
    """The run that an open file belongs to; None if that was never said."""
    (run_id,) = database.execute("SELECT run_id FROM owner").fetchone()
    return None if run_id is None else int(run_id, 16)


def take_over(database: sqlite3.Connection, path: Path, run_id: int) -> None:
    """Say durably whose an open file is; raises `BadDatabaseError` if it is another run's."""
    owner = owner_of(database)
    if owner is None:
        with database:
            database.execute("UPDATE owner SET run_id = ?", (f"{run_id:016x}",))
    elif owner != run_id:
        raise BadDatabaseError(
            f"{path} is of run {owner:016x}, and this is run {run_id:016x}: move it away, or choose another folder"
        )


def _connect_read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True, check_same_thread=False)


def _is_empty(database: sqlite3.Connection) -> bool:
    return bool(database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,))


def _check(database: sqlite3.Connection, path: Path, version: int) -> None:
    if _is_empty(database):
        return
    _check_version(database, path, version)
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise BadDatabaseError(f"{path} is damaged: {verdict}; move it away")


def _check_version(database: sqlite3.Connection, path: Path, version: int) -> None:
    found = tuple(database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if found == (_APPLICATION_ID, version):
        return
    if found[0] == _APPLICATION_ID and found[1] // _KIND == version // _KIND:
        age = "an older" if found[1] < version else "a newer"
        raise BadDatabaseError(
            f"{path} was written by {age} version of satllm_ros (format {found[1]}, this one has {version}):"
            " go on with that version, or choose another folder"
        )
    raise BadDatabaseError(
        f"{path} is a database of application {found[0]}, version {found[1]};"
        f" this store needs application {_APPLICATION_ID}, version {version}: move it away"
    )
