"""Satellites and sensing as a planner sees them: statuses, hellos and a ledger, scripted; plans are committed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets.paths import checkpoint_path
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes.base import qos
from satllm_ros.nodes.base.counters import Counters
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.membership.hello import PROTOCOL
from satllm_ros.protocol.plan import Plan
from satllm_ros.protocol.vocabulary import NO_PLAN, PlanKey, Readiness

# Tests that run beside these may share the ROS domain.
ROOT = f"/planners_{os.getpid()}"
PERIOD_S = 0.1
MODEL_ID = read_spec(checkpoint_path("demo")).model_id
PATIENCE_S = 120.0


@dataclass
class Satellite:
    """What one satellite reports of itself; with layers, `block_s` is their mean over the blocks it was given last."""

    block_s: float = 0.01
    layer_s: tuple[float, ...] = ()
    emulated: bool = False
    memory_bytes: int = 10**9
    boot_id: int = 1
    model_id: str = MODEL_ID
    silent: bool = False
    # It says hello, and nothing else yet.
    starting: bool = False
    jitter: Callable[[], float] = field(default=lambda: 1.0)


class Script(Node):
    """Publishes for all satellites and for sensing, and commits what is proposed while `commits` is true."""

    def __init__(self, context: rclpy.Context, satellites: dict[str, Satellite]) -> None:
        super().__init__("script", context=context, namespace=ROOT)
        self.satellites = satellites
        self.ledger = m.Ledger(source="sensing", tile_bytes=1000.0, expected_batches=500)
        self.commits = True
        self.refusal = ""
        # What sat1 says it is ready for, whatever was proposed.
        self.claim: Epoch | None = None
        self.proposals: list[Plan] = []
        self.committed: list[Plan] = []
        self.about: PlanKey = NO_PLAN
        self.rounds = 0
        self.diagnostics: dict[str, DiagnosticStatus] = {}
        counters = Counters()

        def voice(topic: graph.Topic, node: str = "") -> Any:
            return qos.publisher(self, counters, topic, f"{ROOT}/{topic.of(node)}")

        self.statuses = {name: voice(graph.STATUS, name) for name in satellites}
        self.hellos = voice(graph.HELLO)
        self.ledgers, self.links = voice(graph.LEDGER), voice(graph.LINK_STATE)
        self.active, self.foreign = voice(graph.PLAN_ACTIVE), voice(graph.PLAN_PROPOSED)
        qos.subscription(self, counters, graph.PLAN_PROPOSED, f"{ROOT}/plan_proposed", self._on_proposal)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.create_timer(PERIOD_S, self._publish)

    def status(self, name: str) -> m.SatelliteStatus:
        satellite = self.satellites[name]
        about = self.about[0] if self.claim is None or name != "sat1" else self.claim
        stage = self.committed[-1].stage_of(name) if self.committed else None
        start, stop = (0, 0) if stage is None else (stage.start, stage.stop)
        block_s = satellite.block_s
        if satellite.layer_s and stage is not None:
            block_s = sum(satellite.layer_s[start:stop]) / (stop - start)
        elif satellite.layer_s:
            block_s = satellite.layer_s[len(satellite.layer_s) // 2]
        return m.SatelliteStatus(
            satellite=name,
            boot_id=satellite.boot_id,
            proposed=convert.epoch_to(about),
            proposed_hash=self.about[1],
            readiness=int(Readiness.REFUSED if self.refusal else Readiness.READY),
            reason=self.refusal,
            model_id=satellite.model_id,
            memory_budget_bytes=satellite.memory_bytes,
            start=start,
            stop=stop,
            served=[convert.epoch_to(plan.epoch) for plan in self.committed[-1:]],
            served_hashes=[plan.plan_hash for plan in self.committed[-1:]],
            block_s=block_s * satellite.jitter(),
            emulated=satellite.emulated,
        )

    def hello(self, name: str, state: int = m.Hello.STATE_READY) -> m.Hello:
        boot_id = self.satellites[name].boot_id
        return m.Hello(name=name, boot_id=boot_id, protocol=PROTOCOL, sequence=self.rounds, state=state)

    def _publish(self) -> None:
        self.rounds += 1
        self.ledgers.publish(self.ledger)
        for name, satellite in self.satellites.items():
            if satellite.starting:
                self.hellos.publish(self.hello(name, m.Hello.STATE_STARTING))
            elif not satellite.silent:
                self.statuses[name].publish(self.status(name))
                self.hellos.publish(self.hello(name))

    def _on_proposal(self, message: m.Plan) -> None:
        plan = convert.plan_from(message)
        self.proposals.append(plan)
        self.about = (plan.epoch, plan.plan_hash)
        newest = max((held.epoch for held in self.committed), default=None)
        if self.commits and (newest is None or plan.epoch > newest):
            self.committed.append(plan)
            self.active.publish(message)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.diagnostics[status.name] = status

    def level(self, planner: str) -> bytes:
        """Level of a planner's last diagnostics."""
        return self.diagnostics[f"{ROOT}/{planner}"].level

    def told(self, planner: str, key: str = "") -> str:
        """Sentence or one value of a planner's last diagnostics; empty if there is none."""
        status = self.diagnostics.get(f"{ROOT}/{planner}")
        if status is None:
            return ""
        return next((v.value for v in status.values if v.key == key), "") if key else status.message


class Stand:
    """The script and the nodes under test in one executor."""

    def __init__(self, context: rclpy.Context, script: Script) -> None:
        self.script = script
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(script)
        self._nodes: list[FlightNode] = []

    def add(self, node: FlightNode) -> None:
        self._nodes.append(node)
        self._executor.add_node(node)

    def kill(self, node: FlightNode) -> None:
        """It says nothing more; what it had on disk stays."""
        self._nodes.remove(node)
        self._executor.remove_node(node)
        node.close()
        node.destroy_node()

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Spin until it comes about."""
        give_up_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < give_up_s, f"waited in vain for {what}"
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        for node in list(self._nodes):
            self.kill(node)
        self._executor.shutdown()
        self.script.destroy_node()
