"""Where ROS writes its logs: without a home to write to, rcl ends the process before its first word."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

LOG_VARIABLE = "ROS_LOG_DIR"
# Libraries that warn, or are slow, without a folder for what they keep between runs.
_CACHE_VARIABLES = {"MPLCONFIGDIR": "matplotlib"}


def ros_log_directory(environ: Mapping[str, str]) -> Path | None:
    """The folder that rcl takes; None if it finds none, since HOME is not set."""
    if chosen := environ.get(LOG_VARIABLE):
        return _expanded(chosen, environ)
    if ros_home := environ.get("ROS_HOME"):
        home = _expanded(ros_home, environ)
        return home / "log" if home is not None else None
    home_directory = environ.get("HOME")
    return Path(home_directory) / ".ros" / "log" if home_directory else None


def _expanded(path: str, environ: Mapping[str, str]) -> Path | None:
    if not path.startswith("~"):
        return Path(path)
    home = environ.get("HOME")
    return Path(home + path[1:]) if home else None


def can_be_written(directory: Path) -> bool:
    """Whether files can be made there; makes the folder if it is not there, as ROS would."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return True
    except OSError:
        return False


def log_variables(environ: Mapping[str, str], own: Path) -> dict[str, str]:
    """Environment variables for processes whose logs belong in `own`, the folder of logs of a run.

    A folder that the user has chosen with ROS_LOG_DIR stays, if it can be written.
    """
    chosen = ros_log_directory(environ) if environ.get(LOG_VARIABLE) else None
    variables = {} if chosen is not None and can_be_written(chosen) else {LOG_VARIABLE: str(own / "ros")}
    return variables | _cache_variables(environ, own)


def rescue_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The same for a process that was started by hand: nothing where ROS finds a folder, else a new temporary one."""
    found = ros_log_directory(environ)
    if found is not None and can_be_written(found):
        return {}
    own = Path(tempfile.mkdtemp(prefix="satllm_ros-logs-"))
    return {LOG_VARIABLE: str(own / "ros")} | _cache_variables(environ, own)


def _cache_variables(environ: Mapping[str, str], own: Path) -> dict[str, str]:
    home = environ.get("HOME")
    if home and can_be_written(Path(home)):
        return {}
    return {name: str(own / folder) for name, folder in _CACHE_VARIABLES.items() if not environ.get(name)}
