"""Starts the processes of a graph, reports one that dies, and ends them all: what launch does where there is no ROS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from satllm_ros.graph import ProcessSpec
from satllm_ros.share import PACKAGE, share_directory

POLL_PERIOD_S = 0.05
# Pauses after SIGINT and after SIGTERM before the next stronger signal.
PATIENCE_S = (15.0, 5.0)
LAST_LINES = 12
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class _Child:
    spec: ProcessSpec
    process: subprocess.Popen[str]
    log: Path
    reader: threading.Thread | None


def run_graph(specs: Sequence[ProcessSpec], *, root: str, run_directory: Path) -> int:
    """Run the processes until the required one ends, one dies, or a signal asks to stop; then end them all.

    Signals that ask: SIGINT, SIGTERM, and SIGHUP, which comes when the terminal is closed.

    Each process's output goes to `<run_directory>/logs/<name>.log`; the required one's to the terminal, and
    so do the errors of all others.

    Returns
    -------
    int
        Exit code of the required process; 1 if another one died; 128 + its number after a signal.
    """
    stop = threading.Event()
    signals: list[int] = []

    def on_signal(number: int, _: object) -> None:
        signals.append(number)
        stop.set()

    previous = {number: signal.signal(number, on_signal) for number in STOP_SIGNALS}
    children: list[_Child] = []
    try:
        for spec in specs:
            children.append(_start(spec, root, run_directory))
        return _watch(children, stop, signals)
    finally:
        _end(children)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _start(spec: ProcessSpec, root: str, run_directory: Path) -> _Child:
    parameters = spec.write_parameters(run_directory, root)
    log = run_directory / "logs" / f"{spec.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    namespace = "/" + "/".join(part for part in (root.strip("/"), spec.namespace) if part)
    executable = share_directory().parents[1] / "lib" / PACKAGE / spec.executable
    command = [str(executable), "--ros-args", "--params-file", str(parameters), "-r", f"__ns:={namespace}"]
    # Their own session: Ctrl-C reaches them through us, in order, not all at once from the terminal.
    process = subprocess.Popen(
        command,
        stdout=None if spec.required else subprocess.PIPE,
        stderr=None if spec.required else subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        env=child_environment(),
        start_new_session=True,
    )
    reader = None
    if not spec.required:
        reader = threading.Thread(target=_copy_output, args=(spec.name, process, log), daemon=True)
        reader.start()
    return _Child(spec, process, log, reader)


def child_environment() -> dict[str, str]:
    """Environment in which the package's messages and files are found without sourcing anything."""
    environment = dict(os.environ)
    # A sourced distribution names its own prefix, not the virtual environment this package may be in.
    prefix = str(share_directory().parents[1])
    prefixes = [p for p in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    environment["AMENT_PREFIX_PATH"] = os.pathsep.join(prefixes if prefix in prefixes else [prefix, *prefixes])
    return environment


def _copy_output(name: str, process: subprocess.Popen[str], log: Path) -> None:
    with log.open("w", encoding="utf-8") as file:
        for line in process.stdout or ():
            file.write(line)
            file.flush()
            if "[ERROR]" in line or "[FATAL]" in line:
                print(f"{name}: {line.rstrip()}", file=sys.stderr, flush=True)


def _watch(children: Sequence[_Child], stop: threading.Event, signals: Sequence[int]) -> int:
    while not stop.wait(POLL_PERIOD_S):
        for child in children:
            code = child.process.poll()
            if code is None:
                continue
            if child.spec.required and code < 0:
                print(f"satllm: {child.spec.name} was ended by signal {signal.Signals(-code).name}", file=sys.stderr)
            if child.spec.required:
                return code if code >= 0 else 1
            _report_death(child, code)
            return 1
    return 128 + signals[0]


def _report_death(child: _Child, code: int) -> None:
    if child.reader is not None:
        child.reader.join(timeout=2.0)
    how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
    print(f"satllm: {child.spec.name} ended early with {how}; the last lines of {child.log}:", file=sys.stderr)
    for line in child.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]:
        print(f"  {line}", file=sys.stderr)


def _end(children: Sequence[_Child]) -> None:
    for number, patience_s in zip((signal.SIGINT, signal.SIGTERM), PATIENCE_S, strict=True):
        deadline_s = time.monotonic() + patience_s
        for child in children:
            if child.process.poll() is None:
                child.process.send_signal(number)
        while any(c.process.poll() is None for c in children) and time.monotonic() < deadline_s:
            time.sleep(POLL_PERIOD_S)
    for child in children:
        if child.process.poll() is None:
            print(f"satllm: {child.spec.name} does not end; killing it", file=sys.stderr)
            child.process.kill()
        child.process.wait()
        if child.reader is not None:
            child.reader.join(timeout=2.0)
