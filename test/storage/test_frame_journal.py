"""What sensing did with every image outlives it, and can be read while it writes."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from satllm_ros.storage.database import BadDatabaseError
from satllm_ros.storage.frame_journal import JOURNAL_NAME, Books, FrameJournal, FrameRow, read_journal

ROW = FrameRow("source", 1, "1.jpg", 64, 128, 2, None, 10**18, "ab", "")
BOOKS = Books(2**63 + 5, 12, 3, {"in window": 7}, {"unreadable_image": 2}, 4, 20, False, False)


def test_rows_and_books_come_back(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL_NAME
    journal = FrameJournal(path, run_id=1)
    rows = [ROW, replace(ROW, frame=2**64 - 1, stamp_ns=5, cause="unreadable_image"), replace(ROW, frame=10)]
    journal.write(rows)
    journal.keep_books(BOOKS)
    # Read while it is open, as the ground does.
    read = read_journal(path)
    assert read.rows == (rows[0], rows[2], rows[1])
    assert read.books == (BOOKS,)
    journal.keep_books(replace(BOOKS, closed=True))
    journal.keep_books(Books(3))
    assert [books.boot_id for books in read_journal(path).books] == [2**63 + 5, 3]
    assert read_journal(path).books[0].closed


def test_a_frame_that_is_read_again_has_one_row(tmp_path: Path) -> None:
    journal = FrameJournal(tmp_path / JOURNAL_NAME)
    journal.write([ROW, replace(ROW, source_id="other"), replace(ROW, frame=2, digest="")])
    journal.write([replace(ROW, arrival_ns=ROW.arrival_ns + 5)])
    rows = read_journal(tmp_path / JOURNAL_NAME).rows
    assert len(rows) == 3 and ROW in rows


def test_what_is_dropped_when_it_is_read_again_stays_what_its_first_tiles_were_of(tmp_path: Path) -> None:
    journal = FrameJournal(tmp_path / JOURNAL_NAME)
    journal.write([replace(ROW, tiles=4)])
    for cause, digest in (("unreadable_image", ""), ("source_changed", "ee")):
        journal.write([replace(ROW, tiles=1, height=0, width=0, digest=digest, cause=cause, arrival_ns=2 * 10**18)])
        assert read_journal(tmp_path / JOURNAL_NAME).rows == (replace(ROW, tiles=4, cause=cause),)
        assert journal.known("source") == {1: (ROW.digest, 4)}
    journal.write([replace(ROW, tiles=4)])
    assert read_journal(tmp_path / JOURNAL_NAME).rows == (replace(ROW, tiles=4),)


def test_it_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    code = """if True:
        import os, signal, sys
        from pathlib import Path
        from satllm_ros.storage.frame_journal import FrameJournal, FrameRow
        FrameJournal(Path(sys.argv[1]), run_id=1).write(
            [FrameRow("source", 1, "1.jpg", 64, 128, 2, None, 10**18, "ab", "")]
        )
        os.kill(os.getpid(), signal.SIGKILL)
    """
    path = tmp_path / JOURNAL_NAME
    ended = subprocess.run([sys.executable, "-c", code, path], cwd=os.sep, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert read_journal(path).rows == (ROW,)


def test_a_journal_of_another_run_is_refused(tmp_path: Path) -> None:
    FrameJournal(tmp_path / JOURNAL_NAME, run_id=1).close()
    with pytest.raises(BadDatabaseError, match="is of run 0000000000000001, and this is run 0000000000000002"):
        FrameJournal(tmp_path / JOURNAL_NAME, run_id=2)


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_journal(tmp_path / JOURNAL_NAME)
    (tmp_path / JOURNAL_NAME).write_bytes(b"no database" * 100)
    with pytest.raises(BadDatabaseError):
        read_journal(tmp_path / JOURNAL_NAME)
