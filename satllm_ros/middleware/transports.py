"""Which transports of Fast DDS a process uses: shared memory and UDP, or UDP alone where shared memory is too small.

A segment is taken as a whole when a process starts. Where only some of the processes found room for theirs, the others
would be heard over UDP with an error line each; so it is all of a graph or none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from satllm_ros.middleware.shared_memory import SHARED_MEMORY

# What Fast DDS allocates for the segment of `config/fastdds.xml`, and what its ports take, measured.
SEGMENT_BYTES = 141_000_000
TRANSPORTS_VARIABLE = "FASTDDS_BUILTIN_TRANSPORTS"
_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
# Of rclpy on PyPI: Humble has 3, Iron 4 and 5, Jazzy 7, Kilted 9.
_LAST_OLD_RCLPY = 7


def profile_variables(distribution: str, rclpy_version: str) -> tuple[str, str]:
    """The variable that this Fast DDS reads its profile from, and the one that it does not.

    From Kilted on that is the new name, with a warning of the old one.

    Parameters
    ----------
    distribution
        What `ROS_DISTRO` says; empty where no distribution was sourced, as with packages from PyPI.
    rclpy_version
        Version of rclpy from PyPI, such as "7.1.2"; empty if it is not from there.
    """
    major = rclpy_version.partition(".")[0]
    is_old = distribution in ("humble", "iron", "jazzy") or (
        not distribution and major.isdecimal() and int(major) <= _LAST_OLD_RCLPY
    )
    return _VARIABLES[::-1] if is_old else _VARIABLES


def _rclpy_version() -> str:
    try:
        return version("ros-rclpy")
    except PackageNotFoundError:
        return ""


PROFILE_VARIABLE, OTHER_PROFILE_VARIABLE = profile_variables(os.environ.get("ROS_DISTRO", ""), _rclpy_version())
# Of Fast DDS, up to Jazzy; some elements of a profile have other names in version 3.
IS_VERSION_2 = PROFILE_VARIABLE == _VARIABLES[1]
_WIDE, _UDP = "fastdds.xml", "fastdds_udp.xml"


def is_fast_dds(environ: Mapping[str, str]) -> bool:
    """Whether the middleware is Fast DDS, as far as the environment tells."""
    return environ.get("RMW_IMPLEMENTATION", "") in ("", "rmw_fastrtps_cpp", "rmw_fastrtps_dynamic_cpp")


def is_chosen_by_user(environ: Mapping[str, str]) -> bool:
    """Whether the environment chooses transports already: that wins."""
    return PROFILE_VARIABLE in environ or TRANSPORTS_VARIABLE in environ


def free_bytes(directory: Path = SHARED_MEMORY) -> int:
    """Bytes that this user may still take there; 0 if it is not there or may not be written."""
    try:
        state = os.statvfs(directory)
    except OSError:
        return 0
    return state.f_bavail * state.f_frsize if os.access(directory, os.W_OK | os.X_OK) else 0


def transports(
    environ: Mapping[str, str], share: Path, *, processes: int = 1, directory: Path = SHARED_MEMORY
) -> dict[str, str]:
    """Environment variables to set before the first participant exists; none where the user has chosen.

    Parameters
    ----------
    share
        The package's share directory, which holds the profiles.
    processes
        How many processes will want a segment.
    """
    if is_chosen_by_user(environ):
        return {}
    profile = share / "config" / (_WIDE if has_room(processes, directory) else _UDP)
    return {PROFILE_VARIABLE: str(profile)} if profile.is_file() else {}


def has_room(processes: int, directory: Path = SHARED_MEMORY) -> bool:
    """Whether shared memory holds the segments of so many processes that are about to start."""
    return free_bytes(directory) >= processes * SEGMENT_BYTES
