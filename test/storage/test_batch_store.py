"""A satellite's durable store: nothing acknowledged is lost, nothing grows without end."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from satllm_ros.protocol.delivery import REMEMBERED_DELIVERIES, Restored, SendToGround, StoreProtocol
from satllm_ros.protocol.identity import UINT64_MAX, BatchId
from satllm_ros.protocol.vocabulary import Cause
from satllm_ros.storage import batch_store
from satllm_ros.storage.batch_store import ON_DISK, BatchStore, StoreFullError
from satllm_ros.storage.database import BadDatabaseError
from satllm_ros.storage.prediction_store import PredictionStore

FIRST, SECOND, THIRD = (BatchId(UINT64_MAX, sequence, attempt) for sequence, attempt in ((0, 0), (1, 3), (2**63, 0)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sat1.predictions.sqlite"


def restored(path: Path) -> list[Restored[bytes]]:
    store = BatchStore(path)
    found = list(store.restore())
    store.close()
    return found


def in_a_process(path: Path, script: str) -> int:
    """Exit code of a process that runs a script with `store`, a batch `first` and a `die()` of it."""
    prelude = (
        "import os, resource, sqlite3, sys; from pathlib import Path\n"
        "from satllm_ros.storage.batch_store import *\n"
        "from satllm_ros.protocol.delivery import *\n"
        "from satllm_ros.protocol.identity import BatchId\n"
        "die = lambda: os.kill(os.getpid(), 9)\n"
        "store, first = BatchStore(Path(sys.argv[1])), BatchId(2**64 - 1, 0)\n"
    )
    return subprocess.run([sys.executable, "-c", prelude + script, str(path)], cwd=path.parent).returncode


def test_what_was_written_is_there_after_a_restart_and_what_was_delivered_is_known(path: Path) -> None:
    store = BatchStore(path)
    for batch in (FIRST, SECOND, THIRD):
        store.write(batch, b"message %d" % batch.sequence)
    store.mark_delivered(THIRD)
    store.mark_delivered(FIRST)
    assert store.message(SECOND) == b"message 1" and store.message(FIRST) is None
    assert store.undelivered() == 1
    store.close()
    # Delivered ones in the order of their delivery: the machine forgets the oldest first.
    assert restored(path) == [Restored(THIRD, None), Restored(FIRST, None), Restored(SECOND, ON_DISK)]


def test_death_between_write_and_acknowledgement_loses_nothing(path: Path) -> None:
    script = (
        "machine = StoreProtocol('sat1')\n"
        "(write,) = machine.on_predictions(first, b'message', 0.0)\n"
        "store.write(write.batch, write.payload)\n"
        "die()\n"
    )
    assert in_a_process(path, script) == -9
    store = BatchStore(path)
    machine = StoreProtocol("sat1", restored=store.restore())
    assert machine.on_contact(True, 0.0) == [SendToGround(FIRST, ON_DISK)]
    assert store.message(FIRST) == b"message"
    store.close()


def test_death_before_the_write_leaves_nothing_that_was_promised(path: Path) -> None:
    script = (
        "store._database.execute('BEGIN')\n"
        "store._database.execute(\"INSERT INTO batches VALUES (1, '1', '1', 0, x'00', 0, NULL, NULL, NULL)\")\n"
        "die()\n"
    )
    assert in_a_process(path, script) == -9
    assert restored(path) == []


def test_death_after_the_delivery_costs_at_most_a_resend(path: Path) -> None:
    assert in_a_process(path, "store.write(first, b'message'); store.mark_delivered(first); die()\n") == -9
    assert restored(path) in ([Restored(FIRST, None)], [Restored(FIRST, ON_DISK)])


def test_writes_are_synced_and_notes_of_delivery_are_not(path: Path) -> None:
    store = BatchStore(path)
    settings: list[int] = []
    store._database.set_trace_callback(
        lambda statement: (
            settings.append(store._database.execute("PRAGMA synchronous").fetchone()[0])
            if statement.startswith(("INSERT", "UPDATE"))
            else None
        )
    )
    store.write(FIRST, b"message")
    store.mark_delivered(FIRST)
    store.write(SECOND, b"message")
    normal, full = 1, 2
    assert settings == [full, normal, full]
    store.close()


def test_delivered_batches_are_forgotten_in_time_and_the_file_stays_small(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_store, "REMEMBERED_DELIVERIES", 20)
    store = BatchStore(path)
    sizes = []
    for sequence in range(400):
        store.write(BatchId(1, sequence), bytes(5000))
        store.mark_delivered(BatchId(1, sequence))
        sizes.append(store._database.execute("PRAGMA page_count").fetchone()[0])
    store.write(BatchId(1, 1000), b"waits")
    assert store.undelivered() == 1
    assert max(sizes) <= sizes[60], "freed pages are used again"
    store.close()
    kept = [found.batch.sequence for found in restored(path)]
    assert kept == [*range(380, 400), 1000]


def test_as_many_are_remembered_as_the_machine_knows() -> None:
    assert vars(batch_store)["REMEMBERED_DELIVERIES"] == REMEMBERED_DELIVERIES


def test_a_second_note_of_the_same_delivery_changes_nothing(path: Path) -> None:
    store = BatchStore(path)
    store.write(FIRST, b"message")
    for _ in range(3):
        store.mark_delivered(FIRST)
    store.mark_delivered(SECOND)
    assert (store.undelivered(), store._deliveries) == (0, 1)
    store.close()
    assert restored(path) == [Restored(FIRST, None)]


def test_a_full_disk_refuses_and_keeps_what_is_there(path: Path) -> None:
    script = (
        "store.write(first, b'message')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "machine = StoreProtocol('sat1', restored=store.restore())\n"
        "for sequence in range(1, 1000):\n"
        "    batch = BatchId(2**64 - 1, sequence)\n"
        "    (write,) = machine.on_predictions(batch, bytes(3000), 0.0)\n"
        "    try: store.write(batch, write.payload)\n"
        "    except sqlite3.Error: break\n"
        "    machine.on_written(batch, ON_DISK, 0.0)\n"
        "(refusal,) = machine.on_write_failed(batch)\n"
        "print(sequence, refusal.ack.cause.name, refusal.ack.verdict.name, file=open('said', 'w'))\n"
        "for known in range(1, sequence): assert store.message(BatchId(2**64 - 1, known)) == bytes(3000)\n"
        "die()\n"
    )
    assert in_a_process(path, script) == -9
    written, cause, verdict = (path.parent / "said").read_text().split()
    assert (cause, verdict) == ("FULL", "REFUSED") and 1 < int(written) < 999
    assert [found.batch.sequence for found in restored(path)] == list(range(int(written)))


def test_more_than_may_wait_is_refused_with_a_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_store, "MAX_UNDELIVERED_BATCHES", 2)
    store = BatchStore(path)
    store.write(FIRST, b"message")
    store.write(SECOND, b"message")
    with pytest.raises(StoreFullError, match="2 batches wait for the ground; allowed are 2"):
        store.write(THIRD, b"message")
    store.mark_delivered(FIRST)
    store.write(THIRD, b"message")
    store.close()


def test_a_message_that_rotted_is_forgotten(path: Path) -> None:
    store = BatchStore(path)
    store.write(FIRST, b"message")
    store.write(SECOND, b"message")
    with store._database:
        store._database.execute("UPDATE batches SET message = x'00' WHERE sequence = '0'")
    assert store.message(FIRST) is None
    store.close()
    assert restored(path) == [Restored(SECOND, ON_DISK)]
    assert restored(path) == [Restored(SECOND, ON_DISK)]


@pytest.mark.parametrize("kind", [BatchStore, PredictionStore])
def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path: Path, kind: type) -> None:
    junk = tmp_path / "junk.sqlite"
    junk.write_bytes(b"not a database" * 1000)
    with pytest.raises(BadDatabaseError, match=r"junk\.sqlite cannot be used as a store: file is not a database"):
        kind(junk)
    foreign = tmp_path / "foreign.sqlite"
    database = sqlite3.connect(foreign)
    database.execute("CREATE TABLE tiles (x)")
    database.commit()
    database.close()
    before = foreign.read_bytes()
    with pytest.raises(
        BadDatabaseError, match=r"foreign\.sqlite is a database of application 0, version 0; .* move it"
    ):
        kind(foreign)
    assert foreign.read_bytes() == before
    with pytest.raises(OSError, match="directory"):
        kind(tmp_path)


def test_the_stores_of_a_satellite_and_of_the_ground_are_told_apart(path: Path) -> None:
    BatchStore(path).close()
    with pytest.raises(BadDatabaseError, match="version 1002"):
        PredictionStore(path)


def test_a_file_with_holes_is_refused(path: Path) -> None:
    store = BatchStore(path)
    for sequence in range(50):
        store.write(BatchId(1, sequence), os.urandom(3000))
    store.close()
    content = bytearray(path.read_bytes())
    content[8192:40960] = bytes(32768)
    path.write_bytes(content)
    with pytest.raises(BadDatabaseError, match="predictions.sqlite"):
        BatchStore(path)


def test_what_the_ground_refused_is_kept_with_its_cause_and_not_sent_after_a_restart(path: Path) -> None:
    script = "store.write(first, b'message'); store.set_aside(first, Cause.FOREIGN); die()\n"
    assert in_a_process(path, script) == -9
    store = BatchStore(path)
    assert list(store.restore()) == [Restored(FIRST, None, Cause.FOREIGN)]
    assert (store.undelivered(), store.message(FIRST)) == (0, b"message")
    machine = StoreProtocol("sat1", restored=store.restore())
    assert machine.on_contact(True, 0.0) == [] and machine.set_aside == 1

    again = BatchId(FIRST.boot_id, FIRST.sequence, 1)
    store.write(again, b"computed anew")
    assert list(store.restore()) == [Restored(again, ON_DISK)] and store.message(again) == b"computed anew"
    store.set_aside(again, Cause.MALFORMED)
    store.mark_delivered(again)
    assert list(store.restore()) == [Restored(again, None)]
    store.close()


def test_of_what_is_set_aside_the_newest_are_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_store, "REMEMBERED_DELIVERIES", 20)
    store = BatchStore(path)
    store.write(FIRST, b"delivered")
    store.mark_delivered(FIRST)
    for sequence in range(100, 150):
        store.write(BatchId(1, sequence), b"message")
        store.set_aside(BatchId(1, sequence), Cause.FOREIGN)
    store.write(SECOND, b"waits")
    assert store.undelivered() == 1
    store.close()
    kept = {found.batch: found for found in restored(path)}
    assert kept.pop(FIRST) == Restored(FIRST, None) and kept.pop(SECOND) == Restored(SECOND, ON_DISK)
    assert [batch.sequence for batch in kept] == list(range(130, 150))
