"""What surrounds one process while it handles one event: a host that notes what it does, and a judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from satllm_ros.protocol.plan import Plan
from satllm_ros.protocol.satellite import Blocks
from satllm_ros.protocol.signals import Report
from satllm_ros.protocol.vocabulary import Readiness
from satllm_ros.simulation.exploration.small_world import LIMITS, PLANS, ready_bit
from satllm_ros.simulation.oracle import Oracle
from satllm_ros.simulation.processes.messages import Tile
from satllm_ros.simulation.processes.process import Process
from satllm_ros.simulation.processes.satellite import Satellite
from satllm_ros.simulation.processes.sensing import Sensing


class Cut(Exception):
    """Killed between two effects."""


class Host:
    """The host of one process for one event: notes what it does; all but loading is done at once."""

    def __init__(
        self, process: Process, watcher: Oracle, now_s: float, effects_left: int | None, slow_loads: bool
    ) -> None:
        self._slow_loads = slow_loads
        self._process = process
        self.watcher = watcher
        self.now_s = now_s
        self._effects_left = effects_left
        self.effects = 0
        self.sent: list[tuple[str, Any]] = []
        self.topics: list[str] = []
        self.loads: list[Blocks] = []
        self._work: list[tuple[str, tuple[Any, ...]]] = []

    def send(self, sender: str, receiver: str, message: Any) -> None:
        self._count()
        self.sent.append((receiver, message))

    def publish(self, sender: str, topic: str, message: Any) -> None:
        self._count()
        self.topics.append(topic)

    def later(self, process: Process, kind: str, work: float, *event: Any) -> None:
        self._count()
        if kind == "load" and self._slow_loads:
            self.loads.append(event[0])
        else:
            self._work.append((kind, event))

    def finish(self) -> None:
        """Do the work that was begun."""
        while self._work:
            kind, event = self._work.pop(0)
            self._process.done(self, kind, *event)

    def in_contact(self, satellite: str) -> bool:
        return True

    def tell(self, text: Callable[[], str]) -> None:
        """Nobody listens."""

    def _count(self) -> None:
        self.effects += 1
        if self._effects_left is not None and self.effects > self._effects_left:
            raise Cut


class LocalOracle(Oracle):
    """Judges what one process can be judged by alone, and notes the rest for the state of the world."""

    def __init__(self, process: Process) -> None:
        super().__init__(LIMITS.custody.window_batches)
        self.ready = 0
        self.commits: list[int] = []
        self.committed_plans = {plan.epoch: plan for plan in PLANS}
        if isinstance(process, Satellite):
            self.satellites = {process.name: process}
        elif isinstance(process, Sensing):
            self.sensing = process

    def committed(self, plan: Plan) -> None:
        self.commits.append(plan.epoch.counter)

    def announced(self, plan: Plan) -> None:
        """Only what was committed can be announced: its disk is its own."""

    def reported(self, report: Report) -> None:
        super().reported(report)
        if report.readiness is Readiness.READY:
            self.ready |= ready_bit(report.satellite, report.about[0].counter)

    def check_names(self, tiles: tuple[Tile, ...]) -> None:
        """Needs to know what was read; the simulation judges it."""

    def unloaded(self, satellite: Satellite, blocks: Blocks) -> None:
        """Needs to know what is in flight; the simulation judges it."""
