"""Reading the SQLite file of a bag: whole, with a write-ahead log, broken off or damaged in the middle."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from satllm_ros.data.rosbag.bag_storage import Count, Loss, StorageError, Stored

# Rows of a damaged part that are looked at one by one, for their topics.
_PROBED_ROWS = 10_000
_SAMPLES = 64
_LAST_ROW = 2**63 - 1


class SqliteFile:
    """One .db3 file; see `StorageFile`. Messages come in the order in which they were written (their row's number).

    Raises
    ------
    StorageError
        If it is no bag's database, or nothing of it can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.stat().st_size:
            raise StorageError("is empty")
        # What is missing at the end even if no row shows it: SQLite fills a torn page with zeros.
        self._is_cut = _is_cut(path)
        self._lacks = f"{path.name} is shorter than it was" if self._is_cut else ""
        try:
            self._connection = self._connect("mode=ro")
        except sqlite3.OperationalError:
            # A log or journal that a killed recorder left needs a folder that can be written.
            log = next((f"{path.name}{end}" for end in ("-wal", "-journal") if _size_of(path, end)), "")
            self._lacks = log and f"{log}, what was recorded last, cannot be read in a folder without write access"
            self._connection = self._connect("immutable=1")

    def _connect(self, how: str) -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{quote(str(self.path.resolve()))}?{how}", uri=True, check_same_thread=False)
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        try:
            # Without it, SQLite refuses a file that is shorter than its header says, whatever is there.
            connection.execute("PRAGMA writable_schema=ON")
            rows = connection.execute("SELECT id, name, type, serialization_format FROM topics").fetchall()
            self._topics = {int(number): (str(name), str(kind), str(form)) for number, name, kind, form in rows}
            connection.execute("SELECT rowid FROM messages LIMIT 0")
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            connection.close()
            if isinstance(error, sqlite3.OperationalError) and how == "mode=ro" and "no such table" not in str(error):
                raise
            raise StorageError(f"cannot be read as a bag's database ({error})") from error
        return connection

    def close(self) -> None:
        self._connection.close()

    def topics(self) -> Mapping[str, str]:
        return {name: kind for name, kind, _ in self._topics.values()}

    def count(self, topic: str) -> Count:
        if not self._lacks:
            try:
                query = f"SELECT count(*) FROM messages WHERE topic_id IN ({self._numbers([topic])})"
                return Count(int(self._connection.execute(query).fetchone()[0]))
            except sqlite3.DatabaseError:
                pass
        return self._count_walking(topic)

    def _count_walking(self, topic: str) -> Count:
        known, gaps, gap_at_end = 0, 0, False
        for found in self._rows([topic], with_data=False):
            if isinstance(found, Stored):
                known += 1
            elif found.counts is None:
                gaps, gap_at_end = gaps + 1, found.is_end
            else:
                known += found.counts.get(topic, 0)
        return Count(known, gaps, gap_at_end)

    def times_ns(self) -> tuple[int, int] | None:
        try:
            first, last = self._connection.execute("SELECT min(timestamp), max(timestamp) FROM messages").fetchone()
        except sqlite3.DatabaseError:
            return None
        return None if first is None else (int(first), int(last))

    def samples(self, topic: str) -> str:
        # Messages, not pages: another reader may fold the log into the file, which moves every page.
        digest = hashlib.sha256()
        where = f"topic_id IN ({self._numbers([topic])})"
        try:
            first, last = self._connection.execute("SELECT min(rowid), max(rowid) FROM messages").fetchone()
            for number in range(_SAMPLES if first is not None else 0):
                start = first + (last - first) * number // (_SAMPLES - 1)
                row = self._connection.execute(
                    f"SELECT rowid, timestamp, data FROM messages WHERE rowid >= ? AND {where} ORDER BY rowid LIMIT 1",
                    (start,),
                ).fetchone()
                if row is not None:
                    digest.update(f"{row[0]} {row[1]} ".encode() + bytes(row[2]))
        except (sqlite3.DatabaseError, TypeError):
            digest.update(b"damaged")
        return digest.hexdigest()

    def read(self, topics: Collection[str]) -> Iterator[Stored | Loss]:
        yield from self._rows(topics, with_data=True)

    def _rows(self, topics: Collection[str], *, with_data: bool) -> Iterator[Stored | Loss]:
        numbers = self._numbers(topics)
        query = (
            f"SELECT rowid, topic_id, timestamp, {'data' if with_data else 'NULL'} FROM messages "
            f"WHERE rowid >= ? AND topic_id IN ({numbers}) ORDER BY rowid"
        )
        last: int | None = 0
        while last is not None:
            try:
                for row, number, stamp_ns, data in self._connection.execute(query, (last + 1,)):
                    if row <= last:
                        raise sqlite3.DatabaseError(f"row {row} comes after row {last}")
                    last = row
                    yield self._stored(row, number, stamp_ns, data)
                break
            except sqlite3.DatabaseError as error:
                loss, last = self._pass_damage(last, str(error))
                yield loss
        if last is not None and self._lacks:
            yield Loss(self._lacks, None, is_end=True, is_cut=self._is_cut)

    def _stored(self, row: int, number: int, stamp_ns: object, data: object) -> Stored | Loss:
        name, kind, form = self._topics[number]
        if not isinstance(stamp_ns, int) or not isinstance(data, bytes | None):
            return Loss(f"row {row} of {self.path.name} is no message", {name: 1})
        return Stored(name, kind, form, stamp_ns, data or b"")

    def _pass_damage(self, last: int, why: str) -> tuple[Loss, int | None]:
        """What is lost after the last row that was read, and the row to go on after; None if nothing follows."""
        resumed = self._next_readable(last)
        if resumed is None:
            reason = f"nothing can be read after row {last} of {self.path.name} ({why})"
            return Loss(reason, None, is_end=True, is_cut=self._is_cut), None
        counts: Counter[str] = Counter()
        is_counted = resumed - last <= _PROBED_ROWS
        # The one just before may be readable but for its data.
        for row in range(last + 1, min(resumed, last + 1 + _PROBED_ROWS)):
            topic = self._topic_of(row)
            if topic is None:
                is_counted = False
                break
            counts[topic] += 1
        reason = f"rows {last + 1} to {resumed - 1} of {self.path.name} are damaged ({why})"
        return Loss(reason, {t: n for t, n in counts.items() if t} if is_counted else None), resumed - 1

    def _topic_of(self, row: int) -> str | None:
        """Topic of one row; empty if there is no such row, None if that cannot be told."""
        only = next(iter(self._topics.values()))[0] if len(self._topics) == 1 else None
        try:
            found = self._connection.execute("SELECT topic_id FROM messages WHERE rowid = ?", (row,)).fetchone()
        except sqlite3.DatabaseError:
            # Rows are numbered without gaps.
            return only
        return "" if found is None or found[0] not in self._topics else self._topics[found[0]][0]

    def _next_readable(self, last: int) -> int | None:
        """First row that can be read whole after the one behind `last`, which cannot."""
        step, row = 1, last + 2
        while row < _LAST_ROW:
            if (found := self._readable_from(row)) is not None:
                # It lies between the last step and this one.
                low = max(row - step, last + 2)
                while low < row:
                    middle = (low + row) // 2
                    if self._readable_from(middle) is None:
                        low = middle + 1
                    else:
                        row = middle
                return self._readable_from(row) or found
            step *= 2
            row += step
        return None

    def _readable_from(self, row: int) -> int | None:
        try:
            found = self._connection.execute(
                "SELECT rowid, data FROM messages WHERE rowid >= ? ORDER BY rowid LIMIT 1", (row,)
            ).fetchone()
        except sqlite3.DatabaseError:
            return None
        # A damaged page may name any row.
        return int(found[0]) if found is not None and found[0] >= row else None

    def _numbers(self, topics: Collection[str]) -> str:
        return ",".join(str(number) for number, (name, _, _) in self._topics.items() if name in topics) or "-1"


def _size_of(path: Path, ending: str) -> int:
    beside = path.with_name(path.name + ending)
    return beside.stat().st_size if beside.exists() else 0


def _is_cut(path: Path) -> bool:
    """Whether a file is shorter than its header says."""
    with path.open("rb") as file:
        head = file.read(100)
    page_bytes, pages = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
    return path.stat().st_size < pages * (65536 if page_bytes == 1 else page_bytes)
