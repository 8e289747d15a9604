"""The checks before a flight: what cannot fly is refused before a process is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from satllm_ros.checks.catalogue import CHECKS, refusals, results, warnings
from satllm_ros.checks.check import Check, Cost, Surroundings
from satllm_ros.supervisor.log_directory import LOG_VARIABLE

# What a process that is started by hand looks at itself: it imports the rest a moment later anyway.
_OF_A_PROCESS = ("domain", "middleware", "discovery range", "static peers", "discovery server", "transport profile")
_OF_THIS_PYTHON = ("python", "rclpy", "model libraries")
_RUN_FOLDER = "run folder"


class CannotFlyError(ValueError):
    """This computer, or its settings, cannot fly a graph; the message says why and what to do."""


def check_computer(around: Surroundings, *, same_python: bool = True) -> list[str]:
    """Run all checks that take less than a second, but that of the run's folder.

    Parameters
    ----------
    same_python
        Whether the graph's processes run in the Python of this one; what they find is not looked for otherwise.

    Returns
    -------
    list of str
        Warnings, a sentence each.

    Raises
    ------
    CannotFlyError
        With what is wrong and what to do.
    """
    left_out = {_RUN_FOLDER} | (set() if same_python else set(_OF_THIS_PYTHON))
    if LOG_VARIABLE not in around.environ:
        # Logs go to the run's folder then: nothing that anybody need know.
        left_out.add("log folder")
    found: list[str] = []
    # A process is tried only where nothing is known to be wrong: what it would say is harder to understand.
    for cost in (Cost.INSTANT, Cost.QUICK):
        found += _passed(around, [c for c in CHECKS if c.cost is cost and c.name not in left_out])
    return found


def check_run_folder(run: str, runs: Path) -> list[str]:
    """Whether a run can be kept in the folder `run`, or in a new one below `runs` if `run` is empty; makes the folder.

    Returns
    -------
    list of str
        Warnings, a sentence each.

    Raises
    ------
    CannotFlyError
        If it cannot be made, or nothing can be written there.
    """
    check = next(check for check in CHECKS if check.name == _RUN_FOLDER)
    folder = Path(run) if run else runs
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotFlyError(f"the run's folder {folder} cannot be made ({error.strerror}): {check.remedy}") from None
    return _passed(Surroundings({}, run_directory=folder.resolve()), [check])


def check_process(environ: Mapping[str, str]) -> None:
    """What a process of the graph looks at before it joins ROS, in a few milliseconds.

    Raises
    ------
    CannotFlyError
        With what is wrong and what to do.
    """
    _passed(Surroundings(environ), [c for c in CHECKS if c.name in _OF_A_PROCESS])


def python_of(executable: Path) -> str:
    """The interpreter that a script names in its first line; empty if it names none."""
    try:
        with executable.open("rb") as file:
            first = file.readline(1024)
    except OSError:
        return ""
    return first[2:].decode(errors="replace").strip() if first.startswith(b"#!") else ""


def _passed(around: Surroundings, checks: Sequence[Check]) -> list[str]:
    found = results(around, checks)
    if refused := refusals(found):
        raise CannotFlyError(refused[0])
    return warnings(found)
