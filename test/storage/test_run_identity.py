"""A folder belongs to one run; whoever would fly something else with it is told what differs."""

import json
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from satllm_ros.data.manifest import CAMERA, Manifest
from satllm_ros.storage.batch_store import BatchStore
from satllm_ros.storage.prediction_store import PredictionStore
from satllm_ros.storage.run_identity import (
    RUN_DOCUMENT,
    Run,
    RunFacts,
    RunMismatchError,
    compare_run,
    open_run,
    read_run,
)

SOURCE = Manifest("folder", "/images", (("1.jpg", 10), ("2.jpg", 20)), {})
FACTS = RunFacts("0123456789abcdef", "fedcba9876543210", ("crop", "sea"), (64, 64), None, SOURCE)


def opened(directory: Path, facts: RunFacts = FACTS, *, begin: bool = True, software: str = "1.2.3") -> Run:
    return open_run(directory, facts, software=software, begin=begin)


def test_a_run_is_begun_once_and_gone_on_with(tmp_path: Path) -> None:
    first = opened(tmp_path / "run")
    again = opened(tmp_path / "run")
    assert first.run_id and first.run_id == again.run_id
    assert again.facts == FACTS and again.notes == ()
    assert compare_run(tmp_path / "run", FACTS, software="1.2.3") == again
    assert [path.name for path in (tmp_path / "run").iterdir()] == [RUN_DOCUMENT]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_id": "f" * 16}, "is of model 0123456789abcdef, this is model ffffffffffffffff"),
        ({"artefacts_id": "a" * 16}, "is of codec artefacts fedcba9876543210, these are aaaaaaaaaaaaaaaa"),
        ({"classes": ("crop", "road")}, "is of classes crop, sea; this model has crop, road"),
        ({"tile": (64, 32)}, "is of tiles of 64x64 pixels, this model's are 32x64"),
        ({"source": replace(SOURCE, entries=SOURCE.entries[:1])}, "now has 1 image less (2.jpg)"),
        ({"source": Manifest(CAMERA, "image", (), {})}, "this is the topic image"),
    ],
)
def test_what_differs_is_refused_by_name(tmp_path: Path, change: dict, words: str) -> None:
    opened(tmp_path)
    changed = replace(FACTS, **change)
    for refused in (lambda: opened(tmp_path, changed), lambda: compare_run(tmp_path, changed, software="1.2.3")):
        with pytest.raises(RunMismatchError) as error:
            refused()
        assert words in str(error.value) and str(tmp_path) in str(error.value)
        assert "\n" not in str(error.value)


def test_what_is_not_known_here_is_not_compared(tmp_path: Path) -> None:
    opened(tmp_path)
    assert compare_run(tmp_path, RunFacts(), software="1.2.3") is not None


def test_another_version_of_the_software_is_only_said(tmp_path: Path) -> None:
    opened(tmp_path)
    assert opened(tmp_path, software="1.3.0").notes == (
        f"the run in {tmp_path} was begun by satllm_ros 1.2.3, this is 1.3.0",
    )


def test_a_folder_without_sensing_is_marked_and_becomes_a_run_with_it(tmp_path: Path) -> None:
    assert compare_run(tmp_path, FACTS, software="1") is None
    marked = opened(tmp_path, replace(FACTS, source=None), begin=False)
    assert marked.run_id is None
    with pytest.raises(RunMismatchError, match="is of model"):
        opened(tmp_path, replace(FACTS, model_id="f" * 16), begin=False)
    begun = opened(tmp_path)
    assert begun.run_id is not None
    assert read_run(tmp_path) == replace(begun, notes=())
    assert begun.facts.source == SOURCE


def test_processes_that_begin_together_begin_one_run(tmp_path: Path) -> None:
    runs: list[Run] = []
    together = threading.Barrier(8)

    def begin() -> None:
        together.wait()
        runs.append(opened(tmp_path))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 8 and len({run.run_id for run in runs}) == 1
    assert [path.name for path in tmp_path.iterdir()] == [RUN_DOCUMENT]


@pytest.mark.parametrize("name", ["sensing.plan", "sensing.journal", "sensing.custody.sqlite"])
def test_a_folder_of_an_older_version_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"old")
    with pytest.raises(RunMismatchError, match=f"has {name} but no {RUN_DOCUMENT}: an older version"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "older"),
    [("predictions.sqlite", PredictionStore, 1), ("sat2.predictions.sqlite", BatchStore, 1001)],
)
def test_stores_are_refused_unless_a_process_that_was_quicker_than_sensing_has_just_made_them(
    tmp_path: Path, name: str, kind: Any, older: int
) -> None:
    path = tmp_path / name
    kind(path).close()
    run = opened(tmp_path)
    assert run.run_id
    (tmp_path / RUN_DOCUMENT).unlink()

    kind(path, run_id=run.run_id).close()
    with pytest.raises(RunMismatchError, match=f"has {name} of run {run.run_id:016x} but no {RUN_DOCUMENT}: choose"):
        opened(tmp_path)
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {older}")
    with pytest.raises(RunMismatchError, match=f"has {name} but no {RUN_DOCUMENT}: .*written by an older version"):
        opened(tmp_path)


@pytest.mark.parametrize("name", ["predictions.sqlite", "sat2.predictions.sqlite"])
def test_a_store_that_cannot_be_read_is_refused_and_one_that_is_being_made_is_not(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a database at all")
    with pytest.raises(RunMismatchError, match=f"has {name} but no {RUN_DOCUMENT}: .*cannot be read"):
        opened(tmp_path)
    (tmp_path / name).write_bytes(b"")
    assert opened(tmp_path).run_id


@pytest.mark.parametrize("name", ["predictions.sqlite", "sat2.predictions.sqlite"])
def test_a_store_whose_tables_are_not_there_yet_is_being_made(tmp_path: Path, name: str) -> None:
    # As long as another process is between its first page and its tables.
    with closing(sqlite3.connect(tmp_path / name)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        assert (tmp_path / name).stat().st_size
        assert opened(tmp_path).run_id


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 99}', b"\xff\xfe", b'{"format": 1, "run_id": "x"}'],
)
def test_a_document_that_makes_no_sense_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / RUN_DOCUMENT).write_bytes(content)
    with pytest.raises(RunMismatchError, match=RUN_DOCUMENT):
        opened(tmp_path)


def test_a_manifest_that_was_edited_is_refused(tmp_path: Path) -> None:
    opened(tmp_path)
    document = json.loads((tmp_path / RUN_DOCUMENT).read_text())
    document["source"]["entries"][0][1] += 1
    (tmp_path / RUN_DOCUMENT).write_text(json.dumps(document))
    with pytest.raises(RunMismatchError):
        opened(tmp_path)
