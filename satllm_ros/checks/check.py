"""What a check is, what it looks at, and what it finds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from satllm_ros.middleware.shared_memory import SHARED_MEMORY


class Level(Enum):
    """How bad it is; what is refused cannot fly."""

    OK = "ok"
    WARN = "warn"
    REFUSE = "refuse"


class Cost(Enum):
    """How long a check may take; `satllm up` and the launch files leave the slow ones to `satllm doctor`."""

    INSTANT = "instant"
    QUICK = "half a second"
    SLOW = "seconds"


@dataclass(frozen=True)
class Surroundings:
    """What is looked at; everything that a test would want to be otherwise.

    Attributes
    ----------
    environ
        Environment variables that the processes of the graph will have.
    run_directory
        Folder of the run, which is there; None before it is chosen.
    processes
        How many processes of the graph will run on this computer.
    runs_model
        Whether one of them runs blocks of the model with torch.
    shared_memory
        Where shared memory is mounted.
    port_range_file
        Where Linux says which ports it gives to connections that go out.
    python
        Interpreter of the graph's processes, in which imports are tried.
    """

    environ: Mapping[str, str]
    run_directory: Path | None = None
    processes: int = 1
    runs_model: bool = True
    shared_memory: Path = SHARED_MEMORY
    port_range_file: Path = field(default=Path("/proc/sys/net/ipv4/ip_local_port_range"))
    python: str = sys.executable


@dataclass(frozen=True)
class Finding:
    """What a check found, in words without a full stop."""

    level: Level
    found: str


@dataclass(frozen=True)
class Check:
    """One thing that can keep a graph from flying.

    Attributes
    ----------
    name
        What tables call it.
    cost
        How long it may take.
    remedy
        What to do if its finding is not `OK`, as an order without a full stop.
    look
        Finds out; raises nothing.
    """

    name: str
    cost: Cost
    remedy: str
    look: Callable[[Surroundings], Finding]


@dataclass(frozen=True)
class Result:
    """A check and what it found."""

    check: Check
    finding: Finding

    @property
    def level(self) -> Level:
        return self.finding.level

    @property
    def sentence(self) -> str:
        """What is wrong and what to do about it."""
        return f"{self.finding.found}: {self.check.remedy}"


def ok(found: str) -> Finding:
    return Finding(Level.OK, found)


def warn(found: str) -> Finding:
    return Finding(Level.WARN, found)


def refuse(found: str) -> Finding:
    return Finding(Level.REFUSE, found)
