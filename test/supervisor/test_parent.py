"""Real processes: a parent that is killed, and its child."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from satllm_ros.supervisor.parent import PARENT_VARIABLE, end_with_parent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="parents are watched on Linux only")

CHILD = f"""
import os, signal, sys
from satllm_ros.supervisor.parent import end_with_parent
def on_term(*_):
    # Not print: the signal may come while the other line is still being printed.
    os.write(1, b"terminated\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, on_term)
end_with_parent()
assert {PARENT_VARIABLE!r} not in os.environ
print("waiting", flush=True)
while True:
    signal.pause()
"""
PARENT = """
import os, subprocess, sys
command = [*sys.argv[3:], sys.executable, "-c", sys.argv[1]]
subprocess.Popen(command, env=os.environ | {sys.argv[2]: str(os.getpid())})
sys.stdin.read()
"""
# Stays between the two, as a debugger does, and outlives the first.
PREFIX = ("sh", "-c", '"$@"; exit', "prefix")


def parent_of(folder: Path, program: str, *prefix: str) -> subprocess.Popen[str]:
    """A process that has started a Python program, behind a prefix."""
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, program, PARENT_VARIABLE, *prefix],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
    )


@pytest.mark.parametrize("prefix", [(), PREFIX])
def test_a_child_is_terminated_when_who_started_it_is_killed(prefix: tuple[str, ...], tmp_path: Path) -> None:
    parent = parent_of(tmp_path, CHILD, *prefix)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "waiting\n"
    parent.send_signal(signal.SIGKILL)
    # The end of the file comes when the child, too, has closed it.
    assert parent.communicate()[0] == "terminated\n"


def test_a_parent_that_is_dead_already_counts(tmp_path: Path) -> None:
    # No process has so high a number.
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        env=os.environ | {PARENT_VARIABLE: str(2**22 + 1)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert (child.returncode, child.stdout) == (0, "terminated\n")


def test_a_process_that_is_none_of_those_above_is_not_waited_for(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"], cwd=tmp_path)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        env=os.environ | {PARENT_VARIABLE: str(stranger.pid)},
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == "waiting\n"
        stranger.kill()
        stranger.wait()
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(1.0)
    finally:
        child.kill()
        child.communicate()


def test_a_program_of_others_ends_with_who_started_it(tmp_path: Path) -> None:
    program = "import signal; print('waiting', flush=True); signal.pause()"
    parent = parent_of(tmp_path, program, sys.executable, "-m", "satllm_ros.supervisor.parent")
    assert parent.stdout is not None and parent.stdout.readline() == "waiting\n"
    parent.send_signal(signal.SIGKILL)
    assert parent.communicate(timeout=60)[0] == ""


def test_without_the_variable_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PARENT_VARIABLE, raising=False)
    asked: list[object] = []
    monkeypatch.setattr("ctypes.CDLL", asked.append)
    before = threading.enumerate()
    end_with_parent()
    assert asked == [] and threading.enumerate() == before, "neither the kernel nor a thread watches"
