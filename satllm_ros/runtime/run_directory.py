"""Which folder a run is kept in."""

from __future__ import annotations

from pathlib import Path

from satllm_ros.graph import new_run_directory


def run_directory_of(run: str, runs: Path) -> Path:
    """Absolute path of the folder of a run: `run`, made if it is absent; a new one below `runs` if `run` is empty.

    What earlier lives left in a folder is gone on with: stores, journals, the active plan.

    Raises
    ------
    ValueError
        If `run` names a file.
    OSError
        If the folder cannot be made.
    """
    if not run:
        return new_run_directory(runs).resolve()
    directory = Path(run).resolve()
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"run is {run!r}, which is a file; a folder is needed")
    directory.mkdir(parents=True, exist_ok=True)
    return directory
