"""Whether the graph's Python finds what it imports; tried in a process of its own, which may hang or crash."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path

from satllm_ros.checks.check import Finding, Level, Surroundings, ok, refuse, warn

OLDEST, NEWEST = (3, 10), (3, 13)
TIMEOUT_S = 60.0
# A node needs a participant of the middleware, and with it ports, transports and a folder for logs.
_NODE = """
import rclpy
rclpy.init()
node = rclpy.create_node("satllm_doctor")
node.destroy_node()
rclpy.shutdown()
"""
# Python looks in the current folder first; in a checkout the sources there would hide the generated messages.
_ELSEWHERE = "import sys\nsys.path[:] = [place for place in sys.path if place]\n"
_MESSAGES = """
import rclpy
from satllm_ros.msg import Ledger
# Fails where the messages were built for another Python.
Ledger.__class__.__import_type_support__()
assert Ledger.__class__._TYPE_SUPPORT is not None, "the messages have no type support"
"""


def python(around: Surroundings) -> Finding:
    """The interpreter's version."""
    version = sys.version_info[:2]
    sentence = f"Python {version[0]}.{version[1]} in {sys.prefix}"
    return ok(sentence) if OLDEST <= version <= NEWEST else warn(sentence)


def rclpy_path(around: Surroundings) -> Finding:
    """Which rclpy would be imported, found without importing it."""
    spec = PathFinder.find_spec("rclpy")
    if spec is None or spec.origin is None:
        return refuse("rclpy is not installed in this Python, nor on PYTHONPATH")
    folder = Path(spec.origin).parent
    built = sorted(file.name for file in folder.glob("_rclpy_pybind11*.so"))
    if built and not any(name == f"_rclpy_pybind11{suffix}" for name in built for suffix in EXTENSION_SUFFIXES):
        return refuse(
            f"rclpy in {folder} is of another Python ({built[0]}) than this {sys.version_info[0]}.{sys.version_info[1]}"
        )
    return ok(str(folder))


def messages(around: Surroundings) -> Finding:
    """Import rclpy and this package's messages."""
    return _tried(around, _MESSAGES, "importing rclpy and the messages")


def node(around: Surroundings) -> Finding:
    """Make a ROS node and end it."""
    return _tried(around, _NODE, "starting a ROS node")


def torch_path(around: Surroundings) -> Finding:
    """Whether torch and timm are there, found without importing them, which takes seconds."""
    missing = [name for name in ("torch", "timm") if PathFinder.find_spec(name) is None]
    if not missing:
        return ok("torch and timm are installed")
    sentence = f"{' and '.join(missing)} cannot be found by this Python"
    return refuse(sentence) if around.runs_model else ok(f"{sentence}, nor is needed here")


def torch(around: Surroundings) -> Finding:
    """Import torch."""
    return _library(around, "torch")


def timm(around: Surroundings) -> Finding:
    """Import timm, and with it torchvision."""
    return _library(around, "timm")


def cv_bridge(around: Surroundings) -> Finding:
    """Import cv_bridge, which some encodings of cameras need."""
    finding = _tried(around, "from cv_bridge import CvBridge\nCvBridge()", "importing cv_bridge")
    return finding if finding.level is Level.OK else warn(finding.found)


def _library(around: Surroundings, name: str) -> Finding:
    finding = _tried(around, f"import {name}\nprint({name}.__version__)", f"importing {name}")
    return finding if around.runs_model or finding.level is Level.OK else warn(finding.found)


def _tried(around: Surroundings, program: str, what: str) -> Finding:
    """Run a program; its last word says what went wrong, or which version was found."""
    try:
        ended = subprocess.run(
            [around.python, "-c", _ELSEWHERE + program],
            env=dict(around.environ),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return refuse(f"{what} takes longer than {TIMEOUT_S:g} s")
    except OSError as error:
        return refuse(f"{around.python} cannot be run ({error.strerror})")
    if ended.returncode == 0:
        version = ended.stdout.strip().splitlines()
        return ok(f"{what} works{f': {version[-1]}' if version else ''}")
    lines = [line for line in map(_plain, ended.stderr.splitlines()) if line]
    how = f"exit code {ended.returncode}" if ended.returncode > 0 else f"signal {-ended.returncode}"
    return refuse(f"{what} fails ({lines[-1] if lines else how})")


def _plain(line: str) -> str:
    """A line without the colors that Fast DDS gives it."""
    return re.sub(r"\x1b\[[0-9;]*m", "", line).strip()
