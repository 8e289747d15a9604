"""Starts the processes of a graph, deals with one that dies, and ends them all: what launch does where there is no ROS.

What happens when a process dies is in its description: the graph may go on without it, or end. With `respawn` it is
started again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from satllm_ros.acquisition.waiting import Reminder
from satllm_ros.assets.share import share_directory
from satllm_ros.constellation.processes import ProcessSpec
from satllm_ros.middleware.shared_memory import domain_of_environment, remove_orphans
from satllm_ros.middleware.transports import has_room, transports
from satllm_ros.supervisor.child import Child, how_it_ended
from satllm_ros.supervisor.log_directory import log_variables
from satllm_ros.supervisor.parent import EXIT_BAD_INPUT
from satllm_ros.supervisor.process_profile import profile_environment, unlimited

POLL_PERIOD_S = 0.05
# Pauses after SIGINT and after SIGTERM before the next stronger signal; the required process has a report to write.
PATIENCE_S = (15.0, 5.0)
REQUIRED_PATIENCE_S = (120.0, 10.0)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_graph(
    specs: Sequence[ProcessSpec], *, root: str, run_directory: Path, respawn: bool = False, whole: bool = True
) -> int:
    """Run the processes until the required one ends, one dies that cannot be spared, or a signal asks to stop.

    Signals that ask: SIGINT, SIGTERM, and SIGHUP, which comes when the terminal is closed. All processes are ended
    then. Bad input at a process's first start ends the graph in any case. Unless the graph is here as a `whole`, other
    satellites may fly on elsewhere when the last one here has died.

    Returns
    -------
    int
        Exit code of the required process; 2 if another one refused its input, 1 if it ended the graph otherwise. After
        a signal 128 + its number, or 1 if the required process found something wrong on its way out.
    """
    stop = threading.Event()
    signals: list[int] = []

    def on_signal(number: int, _: object) -> None:
        signals.append(number)
        stop.set()

    previous = {number: signal.signal(number, on_signal) for number in STOP_SIGNALS}
    children: list[Child] = []
    _free_shared_memory()
    # Transports are one choice for all, made here, where their number is known.
    environment = log_variables(os.environ, run_directory / "logs")
    if sentence := unlimited(specs, os.environ):
        _say(sentence)
    is_roomy = has_room(len(specs))
    environment |= transports(os.environ, share_directory(), processes=len(specs))
    try:
        for spec in specs:
            profile = profile_environment(spec, run_directory, root, os.environ, has_room=is_roomy)
            child = Child(spec, root, run_directory, environment | profile)
            child.start()
            children.append(child)
        code = _watch(children, stop, signals, respawn, whole)
        _end(children)
        return 1 if signals and any(child.spec.required and child.failed for child in children) else code
    finally:
        _end(children)
        _free_shared_memory()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _watch(children: Sequence[Child], stop: threading.Event, signals: Sequence[int], respawn: bool, whole: bool) -> int:
    satellites = [child for child in children if child.spec.executable == "satellite"]
    # Where sensing is on another host, nobody here can know that no plan is active.
    is_told_of_plans = any(child.spec.executable == "sensing" for child in children)
    unready = Reminder()
    while not stop.wait(POLL_PERIOD_S):
        for child in children:
            if child.is_due:
                child.start()
            child.tell_what_is_due()
            code = child.death()
            if code is None:
                continue
            if child.spec.required and code >= 0:
                return code
            has_plan = not is_told_of_plans or any(c.has_committed() for c in children)
            if not _goes_on_after(child, code, respawn, has_plan):
                return EXIT_BAD_INPUT if _is_bad_input(child, code) else 1
            _free_shared_memory()
        if whole and satellites and all(child.gone for child in satellites):
            _say("no satellite is left")
            return 1
        if all(child.gone for child in children):
            _say("no process is left")
            return 1
        _tell_unready(children, unready)
    return 128 + signals[0]


def _tell_unready(children: Sequence[Child], reminder: Reminder) -> None:
    """Say which processes have not become ready for long, and what they wait for."""
    waiting: dict[str, list[str]] = {}
    for child in children:
        if reason := child.waits_for():
            waiting.setdefault(reason, []).append(child.spec.name)
    waited_s = reminder.waited_s(bool(waiting), time.monotonic())
    if waited_s is not None:
        groups = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in waiting.items())
        _say(f"not ready after {waited_s:.0f} s: {groups}")


def _goes_on_after(child: Child, code: int, respawn: bool, has_plan: bool) -> bool:
    """Say that a process has died and what follows; whether the graph goes on."""
    name, how = child.spec.name, how_it_ended(code)
    is_bad_input = _is_bad_input(child, code)
    if code > 0 and (reason := child.reason()):
        how = f"{how}: {reason}"
    is_missed = child.spec.needs_plan and not has_plan
    if respawn and not is_bad_input:
        follows = "nothing flies until it is back; it is " if is_missed else ""
        _say(f"{name} died ({how}): {follows}started again in {child.start_later():g} s; its log is {child.log}")
        return True
    if child.spec.required:
        _say(f"{name} was ended by {how}")
        return False
    if child.spec.without and not is_bad_input and not is_missed:
        child.gone = True
        _say(f"{name} died ({how}): {child.spec.without}; its log is {child.log}")
        return True
    if is_missed and not is_bad_input:
        _say(f"{name} died ({how}) before a plan was active: nothing can fly without one")
    lines = child.last_lines()
    _say(f"{name} ended early with {how_it_ended(code)}; the last lines of {child.log}:")
    for line in lines:
        print(f"  {line}", file=sys.stderr)
    return False


def _is_bad_input(child: Child, code: int) -> bool:
    """Whether its first life ended since it refused what it was given: a further one would, too."""
    return code == EXIT_BAD_INPUT and child.lives == 1


def _say(sentence: str) -> None:
    print(f"satllm: {sentence}", file=sys.stderr, flush=True)


def _free_shared_memory() -> None:
    # Killed processes leave up to 128 MiB each.
    remove_orphans(domain_of_environment())


def _end(children: Sequence[Child]) -> None:
    """End what is left: the required process last, so that its report has what the others say while they end."""
    _end_together([child for child in children if not child.spec.required], PATIENCE_S)
    _end_together([child for child in children if child.spec.required], REQUIRED_PATIENCE_S)


def _end_together(children: Sequence[Child], patience: Sequence[float]) -> None:
    reminder = Reminder()
    for number, patience_s in zip((signal.SIGINT, signal.SIGTERM), patience, strict=True):
        deadline_s = time.monotonic() + patience_s
        for child in children:
            child.send(number)
        while (running := [c.spec.name for c in children if c.is_running]) and time.monotonic() < deadline_s:
            if reminder.waited_s(True, time.monotonic()) is not None:
                _say(f"waiting for {', '.join(running)} to end")
            time.sleep(POLL_PERIOD_S)
    for child in children:
        if child.is_running:
            _say(f"{child.spec.name} does not end; killing it")
            child.send(signal.SIGKILL)
        child.join()
