"""Planner node: proposes the optimal split from what satellites and links say of themselves."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.publisher import Publisher
from std_srvs.srv import Trigger

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets.paths import artefacts_path, checkpoint_path
from satllm_ros.compression.tables.artefacts import load_artefacts
from satllm_ros.model.spec import ModelSpec, read_spec
from satllm_ros.nodes.base import diagnostic_keys
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.hello import HelloThread
from satllm_ros.nodes.base.process import run
from satllm_ros.nodes.base.runs import facts_of, join_run
from satllm_ros.nodes.proposing.incarnation_file import IncarnationFile
from satllm_ros.nodes.proposing.parameters import PlannerParameters, facts_beforehand
from satllm_ros.nodes.proposing.standing import Standing
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire.ledger import check_ledger
from satllm_ros.nodes.wire.plan_gate import PlanGate
from satllm_ros.profiling.planner_inputs import PlannerInputs, read_inputs
from satllm_ros.protocol.plan import Plan
from satllm_ros.protocol.planner import Action, PersistIncarnation, PlannerLimits, PlannerProtocol, Propose
from satllm_ros.protocol.unhandled import unhandled
from satllm_ros.replanning.fleet_state import FleetState, NonsenseError, Stream
from satllm_ros.replanning.flight_planner import FlightPlanner
from satllm_ros.replanning.load_rates import LoadRates
from satllm_ros.signing.plan_keys import PlanKeys

TICK_PERIOD_S = 0.25
# While a satellite imports its model, whole libraries are loaded under Python's lock.
STARTING_SILENCE_S = 15.0


@dataclass(frozen=True)
class _Material:
    """What there is from configuring on: what is known beforehand, and the file of the incarnation."""

    spec: ModelSpec
    inputs: PlannerInputs
    keys: PlanKeys
    gate: PlanGate
    file: IncarnationFile


@dataclass(frozen=True)
class _Planning:
    """What there is from activating on; `boot_ids`: of the satellites' lives that have reported."""

    fleet: FleetState
    rates: LoadRates
    flight: FlightPlanner
    protocol: PlannerProtocol
    standing: Standing
    proposed: Publisher[Any]
    boot_ids: dict[str, int]
    since_s: float


class PlannerNode(FlightNode):
    """Proposes a plan when the satellites have reported, and another one when it pays; sensing commits them.

    A shell around `PlannerProtocol` (when, under which epoch) and `FlightPlanner` (what, and whether it pays).
    """

    KEYS = diagnostic_keys.PLANNER
    PARAMETERS = PlannerParameters
    parameters: PlannerParameters

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("planner", **kwargs)
        # Several planners may run at once: a second one is no mistake.
        self._hello = HelloThread(self, graph.PLANNER, self.parameters.satellites, alone=False)
        self._configured: _Material | None = None
        self._active: _Planning | None = None
        self.create_service(Trigger, graph.REPLAN_SERVICE, self._on_replan)
        self.every(TICK_PERIOD_S, self._tick)

    def configure(self) -> None:
        spec = read_spec(checkpoint_path(self.parameters.checkpoint))
        artefacts = load_artefacts(artefacts_path(self.parameters.artefacts), model_id=spec.model_id)
        given = self.parameters
        inputs = read_inputs(
            spec,
            artefacts,
            given.codecs,
            satellites=given.satellites,
            profiles=given.profiles,
            calibration=given.calibration,
            batch_tiles=given.batch_tiles,
            threads=given.threads,
        )
        keys = PlanKeys(self.parameters.plan_public_key, self.parameters.signing_key)
        gate = PlanGate(spec, self.parameters.satellites, self.parameters.plan_public_key)
        state_directory = Path(self.parameters.state_directory)
        join_run(self, state_directory, facts_of(spec, artefacts_id=artefacts.artefact_id))
        file = IncarnationFile(self, state_directory / f"{self.get_name()}.incarnation")
        self._configured = _Material(spec, inputs, keys, gate, file)

    def activate(self) -> None:
        satellites, material = self.parameters.satellites, self._material
        for sentence in material.inputs.sentences():
            self.get_logger().info(sentence)
        prior = facts_beforehand(self.parameters, material.spec, material.inputs.settings)
        fleet = FleetState(prior, material.inputs.devices)
        rates = LoadRates(self.parameters.load_rate_bps / 8)
        flight = FlightPlanner(fleet, rates, source=graph.SENSING, say=self._say)
        protocol = PlannerProtocol(
            self.get_fully_qualified_name(),
            satellites,
            flight.split,
            PlannerLimits(start_s=self.parameters.start_s),
            persisted=material.file.value,
            judge=flight.is_worth_it,
        )
        since_s = time.monotonic()
        standing = Standing(
            self, protocol, flight, fleet, material.spec.model_id, since_s=since_s, start_s=self.parameters.start_s
        )
        proposed = self.publish_on(graph.PLAN_PROPOSED)
        self._active = _Planning(fleet, rates, flight, protocol, standing, proposed, {}, since_s)
        for satellite in satellites:
            self.listen_to(graph.STATUS, partial(self._on_status, satellite), satellite)
        self.listen_to(graph.LEDGER, self._on_ledger)
        self.listen_to(graph.LINK_STATE, self._on_link_state)
        self.listen_to(graph.PLAN_ACTIVE, self._on_plan_active)
        self.listen_to(graph.PLAN_PROPOSED, self._on_plan_proposed)
        self._hello.signs()
        self._hello.set_ready(True)

    def _say(self, sentence: str) -> None:
        self.get_logger().info(sentence)

    def deactivate(self) -> None:
        self._hello.set_ready(False)
        self._active = None

    def cleanup(self) -> None:
        self._configured = None

    @property
    def _material(self) -> _Material:
        assert self._configured is not None
        return self._configured

    @property
    def _planning(self) -> _Planning:
        assert self._active is not None
        return self._active

    # What is heard

    def _on_status(self, satellite: str, message: m.SatelliteStatus) -> None:
        now_s = time.monotonic()
        try:
            report = convert.report_from(message)
            pinned = str(convert.setting_from(message.setting)) if message.setting_pinned else None
            if message.satellite != satellite:
                raise NonsenseError(f"status of {message.satellite!r} on the topic of {satellite}")
            if not self._planning.standing.is_of_our_model(satellite, message.model_id):
                self.counters.add("foreign_status")
                return
            self._planning.fleet.on_satellite(
                satellite,
                message.block_s,
                float(message.memory_budget_bytes),
                pinned,
                now_s,
                runs=(message.start, message.stop),
                emulated=message.emulated,
            )
        except ValueError as error:
            self.ignore("malformed_status", f"ignored: {error}")
            return
        if self._hello.is_stuck(satellite):
            # Its executor goes on, or a worker does; not both.
            self.counters.add("stuck_status")
            return
        self._planning.boot_ids[satellite] = report.boot_id
        self._planning.rates.on_report(report, now_s)
        self._planning.standing.note_report(report)
        self._carry_out(self._planning.protocol.on_report(report, now_s))

    def _take_signs(self, now_s: float) -> None:
        for sign in self._hello.signs():
            # Only of whom enough is known to plan with: its status may come after its first hello.
            if sign.boot_id == self._planning.boot_ids.get(sign.name):
                self._carry_out(self._planning.protocol.on_hello(sign.name, sign.boot_id, now_s))

    def _on_ledger(self, message: m.Ledger) -> None:
        settled = message.stored_tiles + message.delivered_tiles + message.dropped_tiles
        first = not self._planning.fleet.has_stream
        try:
            check_ledger(message)
            self._planning.fleet.on_stream(Stream(message.expected_batches, settled, message.tile_bytes))
        except ValueError as error:
            self.ignore("malformed_ledger", f"ignored: {error}")
            return
        if first:
            self._carry_out(self._planning.protocol.start(self._planning.since_s))

    def _on_link_state(self, message: m.LinkState) -> None:
        sender = "" if message.sender == graph.SENSING else message.sender
        receiver = "" if message.receiver == graph.GROUND else message.receiver
        try:
            if not {sender, receiver} <= {"", *self.parameters.satellites}:
                raise NonsenseError(f"no link is known from {message.sender!r} to {message.receiver!r}")
            is_measured = message.source == m.LinkState.SOURCE_MEASURED
            if not is_measured and message.source != m.LinkState.SOURCE_MODEM:
                raise NonsenseError(f"source {message.source} of a link's state; allowed are 0 and 1")
            if not (message.up or is_measured):
                # What it will carry when it is back, it says then.
                return
            link = (message.rate_bps, message.propagation_s)
            self._planning.fleet.on_link(sender, receiver, link, time.monotonic(), measured=is_measured)
        except NonsenseError as error:
            self.ignore("malformed_link_state", f"ignored: {error}")

    def _on_plan_active(self, message: m.Plan) -> None:
        plan = self._material.gate.hear(message, self).sound
        if plan is not None:
            self._carry_out(self._planning.protocol.on_active(plan, time.monotonic()))

    def _on_plan_proposed(self, message: m.Plan) -> None:
        plan = self._material.gate.hear(message, self).sound
        if plan is not None:
            self._carry_out(self._planning.protocol.on_proposal_seen(plan, time.monotonic()))

    def _on_replan(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self.state != "active":
            response.message = f"no plan: the planner is {self.state}"
            return response
        if not self._planning.fleet.has_stream:
            response.message = f"no plan: {self._planning.standing.missing()}"
            return response
        proposed = self._carry_out(self._planning.protocol.on_replan("an operator asks for it", time.monotonic()))
        response.success = proposed is not None
        response.message = (
            f"plan {proposed.epoch} proposed: {proposed.predicted_makespan_s:.1f} s"
            if proposed is not None
            else self._planning.standing.trouble() or f"no plan yet: {self._planning.standing.missing()}"
        )
        return response

    # What follows

    def _tick(self) -> None:
        if self.state != "active":
            return
        now_s, protocol = time.monotonic(), self._planning.protocol
        self._take_signs(now_s)
        if protocol.unheard:
            # A model takes long to import; it says hello meanwhile. For another model than ours nobody need wait.
            protocol.on_starting(self._hello.starting(STARTING_SILENCE_S) - self._planning.standing.foreign)
        self._carry_out(protocol.on_tick(now_s))
        if protocol.active is not None and (reason := self._planning.flight.reason(protocol.active, protocol.alive)):
            self._carry_out(protocol.on_costs(reason, now_s))
        self._planning.standing.tell(now_s)

    def _carry_out(self, actions: Sequence[Action]) -> Plan | None:
        """Do what the machine says, in order; returns the plan that was proposed, if one was."""
        published, file = None, self._material.file
        for action in actions:
            match action:
                case PersistIncarnation():
                    file.write(action.incarnation)
                case Propose():
                    incarnation = action.plan.epoch.incarnation
                    if incarnation == file.value or file.write(incarnation):
                        published = self._publish(action.plan, action.reason)
                case _:
                    unhandled(action)
        return published

    def _publish(self, plan: Plan, reason: str) -> Plan:
        plan, lines = self._planning.flight.explained(plan)
        plan = self._material.keys.sign(plan)
        if missing := self._planning.standing.missing():
            self.get_logger().warning(f"plan {plan.epoch} does without some: {missing}")
        self.get_logger().info(f"propose plan {plan.epoch}: {reason}")
        for line in lines:
            self.get_logger().info(line)
        self._planning.standing.forget_refusal()
        self._planning.proposed.publish(convert.plan_to(plan, self.stamp()))
        self.counters.add("plans_proposed")
        return plan

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        level, sentence, values = super().diagnose()
        if self.state != "active":
            return level, sentence, values
        active, pending = self._planning.protocol.active, self._planning.protocol.pending
        values = {
            "alive": ", ".join(self._planning.protocol.alive),
            "active": str(active.epoch) if active is not None else "",
            "proposed": str(pending.epoch) if pending is not None else "",
            "decision": self._planning.flight.decision,
            "ages [s]": ", ".join(f"{what} {age_s:.0f}" for what, age_s in self._material.inputs.ages().items()),
        }
        standing = self._planning.standing
        if standing.problem:
            return DiagnosticStatus.ERROR, standing.problem, values
        if standing.waiting:
            return DiagnosticStatus.WARN, standing.waiting, values
        return level, sentence, values


def main() -> int:
    return run(lambda _: [PlannerNode()])


if __name__ == "__main__":
    sys.exit(main())
