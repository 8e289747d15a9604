"""Folders that processes write to."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from satllm_ros.checks.check import Finding, Surroundings, ok, refuse, warn
from satllm_ros.supervisor.log_directory import can_be_written, ros_log_directory

# A run of the shipped images leaves a few MB; stores and logs of a long one grow to hundreds.
SCARCE_BYTES = 200_000_000
# SQLite and a report need this much to begin at all.
LEAST_BYTES = 1_000_000


def run_folder(around: Surroundings) -> Finding:
    """The folder of the run: stores, journals, logs and the report are written there."""
    folder = around.run_directory
    if folder is None:
        return ok("chosen when a run starts")
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, LEAST_BYTES)
    except OSError as error:
        return refuse(f"the run's folder {folder} cannot be written ({error.strerror})")
    state = os.statvfs(folder)
    free = state.f_bavail * state.f_frsize
    sentence = f"{folder} has {free / 1e6:,.0f} MB free"
    return warn(sentence) if free < SCARCE_BYTES else ok(sentence)


def log_folder(around: Surroundings) -> Finding:
    """Where ROS keeps its logs; `satllm up` gives its processes one in the run's folder."""
    found = ros_log_directory(around.environ)
    if found is None:
        return warn("ROS finds no folder for its logs, since HOME is not set")
    if not can_be_written(found):
        return warn(f"ROS cannot write its logs to {found}")
    return ok(str(found))


def temporary_folder(around: Surroundings) -> Finding:
    """Where logs of processes that are started by hand go if ROS finds no place, and what libraries use."""
    try:
        folder = tempfile.gettempdir()
    except OSError:
        return warn("there is no temporary folder that can be written")
    return ok(folder) if can_be_written(Path(folder)) else warn(f"the temporary folder {folder} cannot be written")
