"""Folders and imports as the checks see them."""

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from satllm_ros.checks import imports, places
from satllm_ros.checks.check import Level, Surroundings
from satllm_ros.supervisor.log_directory import LOG_VARIABLE

# Nothing can be made there, not even by root.
NOWHERE = Path("/proc/1/nothing")


def test_a_run_folder_that_can_be_written(tmp_path: Path) -> None:
    finding = places.run_folder(Surroundings({}, run_directory=tmp_path))
    assert finding.level is not Level.REFUSE and str(tmp_path) in finding.found
    assert list(tmp_path.iterdir()) == []


def test_a_run_folder_that_cannot_be_written() -> None:
    finding = places.run_folder(Surroundings({}, run_directory=Path("/proc/self")))
    assert finding.level is Level.REFUSE and "/proc/self cannot be written" in finding.found


def test_scarce_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "SCARCE_BYTES", 2**80)
    assert places.run_folder(Surroundings({}, run_directory=tmp_path)).level is Level.WARN
    monkeypatch.setattr(places, "LEAST_BYTES", 2**60)
    finding = places.run_folder(Surroundings({}, run_directory=tmp_path))
    assert finding.level is Level.REFUSE and "cannot be written" in finding.found


@pytest.mark.parametrize(
    ("environ", "level"), [({}, Level.WARN), ({"HOME": str(NOWHERE)}, Level.WARN), ({LOG_VARIABLE: ""}, Level.WARN)]
)
def test_logs_without_a_place(environ: dict[str, str], level: Level) -> None:
    assert places.log_folder(Surroundings(environ)).level is level


def test_logs_have_a_place(tmp_path: Path) -> None:
    finding = places.log_folder(Surroundings({"HOME": str(tmp_path)}))
    assert (finding.level, finding.found) == (Level.OK, str(tmp_path / ".ros" / "log"))


def test_rclpy_of_another_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "rclpy"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "_rclpy_pybind11.cpython-38-x86_64-linux-gnu.so").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    finding = imports.rclpy_path(Surroundings({}))
    assert finding.level is Level.REFUSE
    assert str(folder) in finding.found and "cpython-38" in finding.found


@pytest.mark.parametrize("here", [True, False])
def test_libraries_are_needed_where_blocks_run(monkeypatch: pytest.MonkeyPatch, here: bool) -> None:
    monkeypatch.setattr(PathFinder, "find_spec", lambda name: None)
    finding = imports.torch_path(Surroundings({}, runs_model=here))
    assert finding.level is (Level.REFUSE if here else Level.OK) and "torch and timm" in finding.found
    assert imports.rclpy_path(Surroundings({})).level is Level.REFUSE


@pytest.mark.parametrize(
    ("program", "level", "words"),
    [
        ("print('1.2')", Level.OK, "works: 1.2"),
        ("import absent_library", Level.REFUSE, "No module named 'absent_library'"),
        (
            "import sys; print('\\x1b[31mport too high\\x1b[m', file=sys.stderr); sys.exit(3)",
            Level.REFUSE,
            "(port too high)",
        ),
        ("import os; os._exit(102)", Level.REFUSE, "exit code 102"),
        ("import os; os.kill(os.getpid(), 9)", Level.REFUSE, "signal 9"),
    ],
)
def test_a_trial_tells_how_it_ended(program: str, level: Level, words: str) -> None:
    finding = imports._tried(Surroundings({}), program, "the trial")
    assert finding.level is level and words in finding.found and "\n" not in finding.found


def test_a_trial_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "TIMEOUT_S", 0.2)
    finding = imports._tried(Surroundings({}), "import signal; signal.pause()", "the trial")
    assert finding.level is Level.REFUSE and "takes longer than 0.2 s" in finding.found


def test_a_python_that_is_not_there() -> None:
    finding = imports._tried(Surroundings({}, python="/does/not/exist"), "", "the trial")
    assert finding.level is Level.REFUSE and "/does/not/exist" in finding.found


def test_what_lies_in_the_current_folder_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As a checkout does, where the package has no messages.
    (tmp_path / "satllm_ros").mkdir()
    (tmp_path / "satllm_ros" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    assert imports.messages(Surroundings(os.environ)).level is Level.OK
