"""How a run ends in its report: what became of every tile, what it is compared with, and what if that fails."""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from other_nodes import PATIENCE_S, SPEC, Others
from test_comparison import png

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.data.manifest import CAMERA, Manifest
from satllm_ros.data.rosbag.bag_writer import LabelledFrame, write_bag
from satllm_ros.data.sources import take_manifest
from satllm_ros.nodes.base.qos import profile
from satllm_ros.protocol.identity import Epoch, TileKey
from satllm_ros.report.record.sensing_sessions import camera_source
from satllm_ros.storage.frame_journal import JOURNAL_NAME, Books, FrameJournal, FrameRow
from satllm_ros.storage.prediction_store import PredictionStore, StoredTile
from satllm_ros.storage.run_identity import RunFacts, open_run

ARRIVED_NS = 1_700_000_000_000_000_000
IMAGES = 8


@dataclass
class Folder:
    """What a run left, laid down by hand."""

    path: Path
    run_id: int
    source_id: str
    journal: FrameJournal

    def acquire(self, *frames: int, tiles: int = 1, cause: str = "", stamp_ns: int | None = None) -> None:
        size = (SPEC.image_height, SPEC.image_width * tiles)
        self.journal.write(
            FrameRow(self.source_id, n, f"#{n}", *size, tiles, stamp_ns, ARRIVED_NS + n, "", cause) for n in frames
        )

    def deliver(self, *frames: int, tiles: int = 1) -> None:
        store = PredictionStore(self.path / "predictions.sqlite", run_id=self.run_id)
        store.write(
            StoredTile(
                TileKey(self.source_id, n, index),
                n % 10,
                ARRIVED_NS / 1e9,
                ARRIVED_NS / 1e9 + 2,
                SPEC.model_id,
                Epoch(1, 1),
                "0" * 16,
            )
            for n in frames
            for index in range(tiles)
        )
        store.close()


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    write_bag(tmp_path / "bag", [LabelledFrame(png(n), n % 10, "", str(n)) for n in range(IMAGES)])
    return tmp_path / "bag"


def lay_down(others: Others, source: Manifest, source_id: str = "") -> Folder:
    facts = RunFacts(model_id=SPEC.model_id, classes=SPEC.classes, source=source)
    run = open_run(others.folder, facts, software="this", begin=True)
    journal = FrameJournal(others.folder / JOURNAL_NAME, run_id=run.run_id)
    return Folder(others.folder, run.run_id, source_id or source.source_id, journal)


@pytest.fixture
def bag_run(others: Others, bag: Path) -> Folder:
    return lay_down(others, take_manifest("bag", bag, ""))


@pytest.fixture
def camera_run(others: Others) -> Folder:
    return lay_down(others, Manifest(CAMERA, "", (), {}), camera_source(1))


def start(others: Others, *parameters: str, run: Folder | None = None) -> subprocess.Popen:
    known = {"run_id": run.run_id} if run is not None else {}
    with (others.folder / "output.txt").open("w") as output:
        process = others.start_ground(*parameters, stdout=output, **known)
    others.until(lambda: "/recorder" in others.diagnostics, "the recorder")
    return process


def fly_bag(others: Others, bag: Path, run: Folder, *parameters: str) -> subprocess.Popen:
    """A bag of which all came down, and sensing says so."""
    run.acquire(*range(1, IMAGES + 1))
    run.deliver(*range(1, IMAGES + 1))
    process = start(others, "source:=bag", f"path:={bag}", "exit_when_done:=true", *parameters, run=run)
    say(
        others,
        m.Ledger(boot_id=1, run_id=run.run_id, acquired_tiles=IMAGES, delivered_tiles=IMAGES, end_of_stream=True),
    )
    return process


def say(others: Others, message: m.Ledger) -> None:
    """Latched, so that it is heard whoever comes first."""
    others.node.create_publisher(m.Ledger, graph.LEDGER.of(), profile(graph.LEDGER.qos)).publish(message)


def ended(others: Others, process: subprocess.Popen) -> int:
    others.until(lambda: process.poll() is not None, f"the end: {printed(others)}")
    return process.returncode


def interrupt(process: subprocess.Popen) -> int:
    process.send_signal(signal.SIGINT)
    return process.wait(PATIENCE_S)


def printed(others: Others) -> str:
    return (others.folder / "output.txt").read_text()


def summary(others: Others) -> dict[str, Any]:
    return json.loads((others.folder / "summary.json").read_text())


def test_a_run_to_which_nothing_came_says_so(others: Others) -> None:
    assert interrupt(start(others, "source:=topic")) == 0
    assert "NOTHING FLEW: no image came to be flown" in printed(others)
    written = summary(others)
    assert written["tiles"]["sent"] == 0 and written["audit"] is None and not written["complete"]
    assert written["gaps"] == ["sensing was never heard: what it sent and dropped is not known"]


def test_a_run_in_which_all_was_dropped_says_why(others: Others, camera_run: Folder) -> None:
    camera_run.acquire(1, 2, 3, cause="unreadable_image")
    camera_run.acquire(4, tiles=5, cause="camera_overflow")
    camera_run.journal.keep_books(Books(1, 8, 0, {}, {"unreadable_image": 3, "camera_overflow": 5}, 7, closed=True))
    assert interrupt(start(others, "source:=topic", run=camera_run)) == 0
    text = printed(others)
    assert "NOTHING FLEW: all 8 tiles were dropped before they were sent" in text
    assert "3 dropped: unreadable_image   5 dropped: camera_overflow" in text
    assert "audit       8 acquired = 0 delivered + 8 dropped + 0 in custody" in text
    assert "not heard   7 images" in text
    written = summary(others)
    assert written["tiles"]["dropped"] == {"unreadable_image": 3, "camera_overflow": 5}
    assert written["audit"]["adds_up"] and written["audit"]["unheard_frames"] == 7


def test_the_last_word_of_sensing_is_waited_for(others: Others, camera_run: Folder) -> None:
    """On a loaded machine a cause came out empty: its ledger had not been heard when all were ended."""
    camera_run.journal.keep_books(Books(1))
    process = start(others, "source:=topic", run=camera_run)
    process.send_signal(signal.SIGINT)
    camera_run.acquire(1, cause="unreadable_image")
    camera_run.acquire(2)
    camera_run.journal.keep_books(Books(1, 2, 0, {"in window": 1}, {"unreadable_image": 1}, closed=True))
    assert process.wait(PATIENCE_S) == 0
    written = summary(others)
    assert written["tiles"] == {
        "sent": 1,
        "received": 0,
        "duplicates": 0,
        "lost": 0,
        "dropped": {"unreadable_image": 1},
    }
    assert written["in_custody"] == {"in window": 1} and written["audit"]["adds_up"]


def test_a_last_word_that_never_comes_is_not_waited_for_long(others: Others, camera_run: Folder) -> None:
    camera_run.acquire(1)
    camera_run.journal.keep_books(Books(1, 1, 0, {"in flight": 1}))
    assert interrupt(start(others, "source:=topic", run=camera_run)) == 0
    assert summary(others)["in_custody"] == {"in flight": 1}


def test_tiles_that_are_in_no_place_end_a_run_with_1_and_how_many(others: Others, bag: Path, bag_run: Folder) -> None:
    """All were acknowledged, and three images shared one identity."""
    bag_run.acquire(*range(1, IMAGES + 1))
    bag_run.deliver(*range(1, IMAGES - 1))
    process = start(others, "source:=bag", f"path:={bag}", "exit_when_done:=true", run=bag_run)
    say(
        others,
        m.Ledger(boot_id=1, run_id=bag_run.run_id, acquired_tiles=IMAGES, delivered_tiles=IMAGES, end_of_stream=True),
    )
    assert ended(others, process) == 1
    assert "DOES NOT ADD UP: of 8 acquired tiles, 2 neither delivered" in printed(others)
    written = summary(others)
    assert (written["audit"]["lost"], written["tiles"]["lost"], written["complete"]) == (2, 2, False)


def test_a_run_that_is_stopped_and_does_not_add_up_ends_with_1(others: Others, camera_run: Folder) -> None:
    camera_run.acquire(1)
    camera_run.deliver(2)
    camera_run.journal.keep_books(Books(1, 1, 1, closed=True))
    assert interrupt(start(others, "source:=topic", run=camera_run)) == 1
    assert "predictions at the ground of no tile that was acquired: 1" in " ".join(printed(others).split())


def test_an_image_of_the_source_that_nobody_acquired_does_not_add_up(
    others: Others, bag: Path, bag_run: Folder
) -> None:
    bag_run.acquire(*range(1, IMAGES))
    bag_run.deliver(*range(1, IMAGES))
    process = start(others, "source:=bag", f"path:={bag}", "exit_when_done:=true", run=bag_run)
    books = m.Ledger(boot_id=1, run_id=bag_run.run_id, acquired_tiles=7, delivered_tiles=7, end_of_stream=True)
    say(others, books)
    assert ended(others, process) == 1
    assert summary(others)["audit"]["complaints"] == ["images of the source neither acquired nor dropped: 1"]


@pytest.mark.parametrize("stamps", ["believable", "one missing"])
def test_delays_are_all_of_one_clock(others: Others, camera_run: Folder, stamps: str) -> None:
    """Stamps are a second before arrival, which is two seconds before the ground has them."""
    for frame in (1, 2, 3):
        is_stamped = stamps == "believable" or frame != 2
        camera_run.acquire(frame, stamp_ns=ARRIVED_NS + frame - 10**9 if is_stamped else None)
    camera_run.deliver(1, 2, 3)
    camera_run.journal.keep_books(Books(1, 3, 3, closed=True))
    assert interrupt(start(others, "source:=topic", run=camera_run)) == 0
    written = summary(others)
    expected = ("stamp", 3.0) if stamps == "believable" else ("arrival", 2.0)
    assert (written["acquisition"], written["delay_s"]["p50"]) == (expected[0], pytest.approx(expected[1], abs=1e-6))
    assert ("1 of 3 have none" in written["acquisition_reason"]) == (stamps != "believable")


def test_a_sample_is_compared_in_a_process_of_its_own(others: Others, bag: Path, bag_run: Folder) -> None:
    process = fly_bag(others, bag, bag_run, "reference:=5")
    assert ended(others, process) == 0
    written = summary(others)
    accuracy = written["accuracy"]
    assert accuracy["compared_tiles"] == 5 and len(accuracy["agreement_interval"]) == 2
    # Frames count from 1, classes from 0: each flown label is one more than the true class.
    assert accuracy["flown"] == 0.0 and accuracy["agreement"] is not None
    text = " ".join(printed(others).split())
    assert "unsplit reference: 5 of 5 (100 %) tiles" in text and "of a sample of 5 of 8 tiles" in text
    assert written["notes"] == []


def wait_for_comparison(others: Others) -> int:
    """Until the comparison has said that it works; its process."""
    others.until(lambda: "unsplit reference: 0 of 8" in printed(others), "the comparison")
    (pid,) = comparisons(others)
    return pid


def comparisons(others: Others) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (
                os.readlink(entry / "cwd") == str(others.folder)
                and b"satllm_ros/comparison" in (entry / "cmdline").read_bytes()
            ):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_ctrl_c_during_the_comparison_keeps_the_report(others: Others, bag: Path, bag_run: Folder) -> None:
    process = fly_bag(others, bag, bag_run, "reference:=-1")
    wait_for_comparison(others)
    assert interrupt(process) == 0
    written = summary(others)
    assert written["complete"] and written["accuracy"]["agreement"] is None
    assert written["notes"] == ["the comparison with the source was interrupted"]
    assert written["accuracy"]["flown"] is not None, "the true classes had been read"
    assert "COMPLETE: all 8 tiles came down exactly once" in printed(others)
    assert comparisons(others) == []


def test_a_comparison_that_dies_costs_no_report(others: Others, bag: Path, bag_run: Folder) -> None:
    process = fly_bag(others, bag, bag_run, "reference:=-1")
    os.kill(wait_for_comparison(others), signal.SIGKILL)
    assert ended(others, process) == 0
    (note,) = summary(others)["notes"]
    assert note.startswith("no comparison: the process that compares was ended by signal SIGKILL")
    assert "Traceback" not in printed(others) + (others.folder / "errors.txt").read_text()


def test_the_comparison_ends_with_the_ground(others: Others, bag: Path, bag_run: Folder) -> None:
    process = fly_bag(others, bag, bag_run, "reference:=-1")
    pid = wait_for_comparison(others)
    process.kill()
    process.wait(PATIENCE_S)
    deadline_s = time.monotonic() + PATIENCE_S
    while pid in comparisons(others):
        assert time.monotonic() < deadline_s, "it lives on"
