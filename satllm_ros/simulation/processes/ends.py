"""The ground and the planners as the simulation runs them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from satllm_ros.protocol import delivery
from satllm_ros.protocol import planner as planner_protocol
from satllm_ros.protocol.delivery import GroundProtocol
from satllm_ros.protocol.hop import HopLimits
from satllm_ros.protocol.planner import PlannerLimits, PlannerProtocol
from satllm_ros.protocol.signals import Report
from satllm_ros.protocol.unhandled import unhandled
from satllm_ros.simulation.processes.hops import Hops
from satllm_ros.simulation.processes.messages import Proposed, Result, RunSaid
from satllm_ros.simulation.processes.process import CLASSES, GROUND, SENSING, Host, Process, chain


class Ground(Process):
    """Writes results, then acknowledges them to all who may hold a copy.

    `model_id` is that of the checkpoint it is given, `known_run` what its computer has written down of the run, if the
    run began there.
    """

    topics = ("ledger",)
    memory = ("protocol", "hops")
    machine = GroundProtocol

    def __init__(
        self,
        satellites: Sequence[str],
        *,
        model_id: str,
        known_run: int | None,
        hop_limits: HopLimits | None = None,
    ) -> None:
        super().__init__(GROUND)
        self._hop_limits = hop_limits
        self._satellites = tuple(satellites)
        self.model_id = model_id
        self.known_run = known_run
        self.wipe()

    def wipe(self) -> None:
        """Another run has another folder."""
        # As the durable store has it: one row a tile, the first prediction stays, copies are counted.
        self.disk = {"rows": {}, "copies": 0, "run": None}

    def start(self, host: Host, boot_id: int) -> None:
        self.boot_id = boot_id
        self.hops = Hops(self.name, boot_id, self._hop_limits)
        self.protocol: GroundProtocol[Result] = self.machine(
            self.name, model_id=self.model_id, classes=CLASSES, run_id=self.known_run or self.disk["run"]
        )

    def take(self, host: Host, message: Any) -> None:
        if isinstance(message, RunSaid):
            actions = self.protocol.on_run(message.run_id)
        else:
            # What comes twice is acknowledged twice.
            self.hops.arrived(host, message.sender, message)
            actions = self.protocol.on_predictions(message.batch, message.result.origin, message.result)
        self._carry_out(host, actions)

    def done(self, host: Host, kind: str, *event: Any) -> None:
        batch, result = event
        if kind == "write":
            rows = self.disk["rows"]
            host.watcher.written(result)
            for tile in result.tiles:
                if tile.key in rows:
                    self.disk["copies"] += 1
                else:
                    rows[tile.key] = tile.content
            host.later(self, "written", 0.0, batch, result)
        else:
            self._carry_out(host, self.protocol.on_written(batch))

    def _carry_out(self, host: Host, actions: Sequence[delivery.GroundAction[Result]]) -> None:
        for action in actions:
            match action:
                case delivery.Write():
                    host.later(self, "write", 0.0, action.batch, action.payload)
                case delivery.AdoptRun():
                    self.disk["run"] = action.run_id
                case delivery.Acknowledge():
                    host.watcher.acknowledged(action.ack)
                    for receiver in (SENSING, *self._satellites):
                        host.send(self.name, receiver, action.ack)
                case _:
                    unhandled(action)


class Planner(Process):
    """Proposes plans around the dead."""

    topics = ("plan_proposed", "plan_active", "status")
    machine = PlannerProtocol

    def __init__(
        self, name: str, satellites: Sequence[str], split: planner_protocol.Split, limits: PlannerLimits
    ) -> None:
        super().__init__(name)
        self._satellites = tuple(satellites)
        self._split = split
        self._limits = limits

    def start(self, host: Host, boot_id: int) -> None:
        self.boot_id = boot_id
        self.protocol = self.machine(
            self.name, self._satellites, self._split, self._limits, persisted=self.disk.get("incarnation", 0)
        )
        self._carry_out(host, self.protocol.start(host.now_s))

    def take(self, host: Host, message: Any) -> None:
        if isinstance(message, Report):
            actions = self.protocol.on_report(message, host.now_s)
        elif isinstance(message, Proposed):
            actions = self.protocol.on_proposal_seen(message.plan, host.now_s)
        else:
            actions = self.protocol.on_active(message.plan, host.now_s)
        self._carry_out(host, actions)

    def hello(self, host: Host, satellite: str, boot_id: int) -> None:
        """A satellite that is ready has said hello."""
        self._carry_out(host, self.protocol.on_hello(satellite, boot_id, host.now_s))

    def replan(self, host: Host) -> None:
        """An operator asks for another plan."""
        self._carry_out(host, self.protocol.on_replan("asked to", host.now_s))

    def tick(self, host: Host) -> None:
        self._carry_out(host, self.protocol.on_tick(host.now_s))

    def _carry_out(self, host: Host, actions: Sequence[planner_protocol.Action]) -> None:
        for action in actions:
            match action:
                case planner_protocol.PersistIncarnation():
                    self.disk["incarnation"] = action.incarnation
                case planner_protocol.Propose():
                    host.tell(partial(_proposal, self.name, action))
                    host.publish(self.name, "plan_proposed", Proposed(action.plan))
                case _:
                    unhandled(action)


def _proposal(name: str, action: planner_protocol.Propose) -> str:
    return f"{name} proposes plan {action.plan.epoch} {chain(action.plan)}: {action.reason}"
