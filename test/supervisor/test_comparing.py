"""The process that compares, seen from the ground: whatever becomes of it, the report is told in sentences."""

import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from satllm_ros.supervisor.comparing import ComparisonProcess, Job, Progress

PATIENCE_S = 120.0
JOB = Job("bag", "/bag", "/image", "ab", "/model", "/run", ((1, 0), (7, 2), (7, 0)), digests={7: "d1"})
# What the process is told comes first: it shall have read it whole before it dies.
HEADER = (
    "import json, os, sys, time, signal; job = json.load(sys.stdin);"
    "say = lambda **line: print(json.dumps(line), flush=True);"
)


def started(folder: Path, script: str) -> ComparisonProcess:
    return ComparisonProcess(JOB, folder / "logs" / "comparison.log", [sys.executable, "-c", HEADER + script])


def over(process: ComparisonProcess) -> ComparisonProcess:
    assert process.wait(PATIENCE_S)
    return process


def test_a_job_comes_through_and_is_asked_by_frame() -> None:
    assert Job.from_json(json.loads(json.dumps(asdict(JOB)))) == JOB
    assert JOB.tiles_by_frame() == {1: {0}, 7: {0, 2}}


def test_what_it_finds_is_taken_and_how_far_it_is(tmp_path: Path) -> None:
    script = (
        "say(step='unsplit reference', unit='tiles', done=3, total=len(job['tiles']));"
        "say(truth=[[1, 0, 4]]); say(reference=[[7, 2, 1], [7, 0, 3]]); say(failed='a label was odd'); say(end=True)"
    )
    process = over(started(tmp_path, script))
    assert process.truth == {(1, 0): 4} and process.reference == {(7, 2): 1, (7, 0): 3}
    assert process.progress == Progress("unsplit reference", "tiles", 3, 3)
    assert process.complaints == ["a label was odd"]


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("raise MemoryError('too large')", "exit code 1"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL"),
        ("say(truth=[[1, 0, 4]]); print('{\"reference\": [[1, 0', end='', flush=True)", "exit code 0"),
    ],
)
def test_one_that_dies_is_a_sentence_and_its_traceback_is_in_the_log(tmp_path: Path, script: str, how: str) -> None:
    process = over(started(tmp_path, script))
    (complaint,) = process.complaints
    log = tmp_path / "logs" / "comparison.log"
    assert complaint == f"no comparison: the process that compares was ended by {how}; its log is {log}"
    assert process.reference == {}
    assert ("too large" in log.read_text()) == ("MemoryError" in script)


def test_one_that_never_reads_its_job_blocks_nobody(tmp_path: Path) -> None:
    job = Job("bag", "/bag", "", "ab", "/model", "/run", tuple((n, 0) for n in range(200_000)))
    process = ComparisonProcess(job, tmp_path / "log", [sys.executable, "-c", "import time; time.sleep(1000)"])
    assert not process.poll()
    process.stop()
    assert process.is_over and not process.complaints


def test_one_that_is_ended_keeps_what_it_had_said(tmp_path: Path) -> None:
    process = started(tmp_path, "say(truth=[[1, 0, 4]]); say(step='s', unit='u', done=0, total=1); time.sleep(1000)")
    deadline_s = time.monotonic() + PATIENCE_S
    while process.progress is None and time.monotonic() < deadline_s:
        assert not process.wait(0.01)
    process.stop()
    assert process.truth == {(1, 0): 4} and process.is_over and not process.complaints


def test_an_odd_line_is_no_answer(tmp_path: Path) -> None:
    script = "print('hello'); print('[1]'); print('null'); say(truth=[[1, 'x', 2]]); say(reference=3); say(end=True)"
    process = over(started(tmp_path, script))
    assert (process.truth, process.reference, process.complaints) == ({}, {}, [])


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """The ground is killed while the unsplit model runs."""
    read, write = os.pipe()
    script = (
        "import sys, time; from pathlib import Path;"
        " from satllm_ros.supervisor.comparing import ComparisonProcess, Job;"
        "child = 'import time; from satllm_ros.supervisor.parent import end_with_parent; end_with_parent();"
        " print(1, flush=True); time.sleep(1000)';"
        "p = ComparisonProcess(Job('bag', '', '', '', '', ''), Path('log'), [sys.executable, '-c', child]);"
        "p._lines.get(); print('up', flush=True); time.sleep(1000)"
    )
    pid = os.fork()
    if pid == 0:
        os.dup2(write, 1)
        os.chdir(tmp_path)
        os.execv(sys.executable, [sys.executable, "-c", script])
    os.close(write)
    with os.fdopen(read) as said:
        assert said.readline() == "up\n"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    deadline_s = time.monotonic() + PATIENCE_S
    while any("end_with_parent" in line for line in command_lines(tmp_path)):
        assert time.monotonic() < deadline_s, "it lives on"


def command_lines(folder: Path) -> list[str]:
    """Of processes that run in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder):
                found.append((process / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return found
