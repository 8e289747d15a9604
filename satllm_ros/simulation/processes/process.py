"""A process of the graph as the simulation runs it: a thin shell around the very machines that the nodes run.

A process lives in a `Host`, which brings messages and time and carries out what the machines ask for.
What a process keeps in `disk` survives its death, all else is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from satllm_ros.protocol.plan import Plan

SENSING, GROUND = "sensing", "ground"
# What is flown first: another run, or another model, may follow.
MODEL_ID, RUN_ID = "simulated", 1
CLASSES = 10


class Host(Protocol):
    """The world as a process sees it."""

    watcher: Any

    @property
    def now_s(self) -> float: ...
    def send(self, sender: str, receiver: str, message: Any) -> None: ...
    def publish(self, sender: str, topic: str, message: Any) -> None: ...
    def later(self, process: Process, kind: str, work: float, *event: Any) -> None: ...
    def in_contact(self, satellite: str) -> bool: ...
    def tell(self, text: Callable[[], str]) -> None: ...


class Process:
    """One process: its disk outlives it, its machines do not."""

    topics: tuple[str, ...] = ()
    # Attributes that make up a life.
    memory: tuple[str, ...] = ("protocol",)
    # The machine of a life.
    protocol: Any

    def __init__(self, name: str) -> None:
        self.name = name
        self.boot_id = 0
        self.alive = False
        self.disk: dict[str, Any] = {}

    def start(self, host: Host, boot_id: int) -> None:
        """Begin a new life with nothing but the disk."""
        raise NotImplementedError

    def end(self) -> None:
        """End this life: forget all but the disk."""
        self.alive = False
        for name in self.memory:
            self.__dict__.pop(name, None)

    def take(self, host: Host, message: Any) -> None:
        """A message has arrived."""
        raise NotImplementedError

    def done(self, host: Host, kind: str, *event: Any) -> None:
        """Work that was begun with `Host.later` is finished."""
        raise NotImplementedError

    def tick(self, host: Host) -> None:
        """A second has passed."""


def chain(plan: Plan) -> str:
    """The stages of a plan in words."""
    stages = " -> ".join(f"{s.satellite} ({s.start}, {s.stop}]" for s in plan.stages)
    return f"{stages} stored at {plan.downlink}"
