"""Planner node: proposes the optimal split from what satellites and links say of themselves."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from std_srvs.srv import Trigger

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets.paths import artefacts_path, checkpoint_path
from satllm_ros.compression.tables.artefacts import load_artefacts
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes.base import diagnostic_keys
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.hello import HelloThread
from satllm_ros.nodes.base.process import run
from satllm_ros.nodes.base.runs import facts_of, join_run
from satllm_ros.nodes.planner_parameters import PARAMETERS, facts_beforehand
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire.plan_gate import PlanGate
from satllm_ros.profiling.planner_inputs import read_inputs
from satllm_ros.protocol.plan import Plan
from satllm_ros.protocol.planner import Action, PersistIncarnation, PlannerLimits, PlannerProtocol, Propose
from satllm_ros.protocol.signals import Report
from satllm_ros.protocol.unhandled import unhandled
from satllm_ros.protocol.vocabulary import Readiness
from satllm_ros.replanning.flight_planner import FlightPlanner
from satllm_ros.replanning.load_rates import LoadRates
from satllm_ros.replanning.observed import NonsenseError, Observed, Stream
from satllm_ros.signing.plan_keys import PlanKeys
from satllm_ros.storage.incarnation import read_incarnation, write_incarnation

TICK_PERIOD_S = 0.25
# While a satellite imports its model, whole libraries are loaded under Python's lock.
STARTING_SILENCE_S = 15.0


class PlannerNode(FlightNode):
    """Proposes a plan when the satellites have reported, and another one when it pays; sensing commits them.

    A shell around `PlannerProtocol` (when, under which epoch) and `FlightPlanner` (what, and whether it pays).
    """

    KEYS = diagnostic_keys.PLANNER
    PARAMETERS = PARAMETERS

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("planner", **kwargs)
        # Several planners may run at once: a second one is no mistake.
        self._hello = HelloThread(self, graph.PLANNER, alone=False)
        self._problem_sentence = self._waiting_sentence = ""
        self.create_service(Trigger, graph.REPLAN_SERVICE, self._on_replan)
        self.every(TICK_PERIOD_S, self._tick)

    def configure(self) -> None:
        self._spec = read_spec(checkpoint_path(self.value("checkpoint")))
        artefacts = load_artefacts(artefacts_path(self.value("artefacts")), model_id=self._spec.model_id)
        given = {name: self.value(name) for name in ("satellites", "profiles", "calibration", "batch_tiles", "threads")}
        self._inputs = read_inputs(self._spec, artefacts, self.value("codecs"), **given)
        self._keys = PlanKeys(self.value("plan_public_key"), self.value("signing_key"))
        self._gate = PlanGate(self._spec, self.value("satellites"), self.value("plan_public_key"))
        state_directory = self.folder("state_directory")
        join_run(self, state_directory, facts_of(self._spec, artefacts_id=artefacts.artefact_id))
        self._state_file = state_directory / f"{self.get_name()}.incarnation"
        self._persisted = read_incarnation(self._state_file)

    def activate(self) -> None:
        satellites = self.value("satellites")
        for sentence in self._inputs.sentences():
            self.get_logger().info(sentence)
        prior = facts_beforehand(self.value, self._spec, self._inputs.settings)
        self._observed = Observed(prior, self._inputs.devices)
        self._rates = LoadRates(self.value("load_rate_bps") / 8)
        self._flight = FlightPlanner(self._observed, self._rates, source=graph.SENSING, say=self._say)
        self._protocol = PlannerProtocol(
            self.get_fully_qualified_name(),
            satellites,
            self._flight.split,
            PlannerLimits(start_s=self.value("start_s")),
            persisted=self._persisted,
            judge=self._flight.is_worth_it,
        )
        self._boot_ids: dict[str, int] = {}
        self._problem_sentence = self._waiting_sentence = self._refusal = ""
        self._active_since_s = time.monotonic()
        self._proposed = self.publish_on(graph.PLAN_PROPOSED)
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

    # What is heard

    def _on_status(self, satellite: str, message: m.SatelliteStatus) -> None:
        now_s = time.monotonic()
        try:
            report = convert.report_from(message)
            pinned = str(convert.setting_from(message.setting)) if message.setting_pinned else None
            if message.satellite != satellite:
                raise NonsenseError(f"status of {message.satellite!r} on the topic of {satellite}")
            self._observed.on_satellite(
                satellite,
                message.block_s,
                float(message.memory_budget_bytes),
                pinned,
                now_s,
                runs=(message.start, message.stop),
                emulated=message.emulated,
            )
        except ValueError as error:
            self._count("malformed_status", error)
            return
        if self._hello.is_stuck(satellite):
            # Its executor goes on, or a worker does; not both.
            self.counters.add("stuck_status")
            return
        self._boot_ids[satellite] = report.boot_id
        self._rates.on_report(report, now_s)
        self._note_refusal(report)
        self._carry_out(self._protocol.on_report(report, now_s))

    def _take_signs(self, now_s: float) -> None:
        for sign in self._hello.signs():
            # Only of whom enough is known to plan with: its status may come after its first hello.
            if sign.boot_id == self._boot_ids.get(sign.name):
                self._carry_out(self._protocol.on_hello(sign.name, sign.boot_id, now_s))

    def _on_ledger(self, message: m.Ledger) -> None:
        settled = message.stored_tiles + message.delivered_tiles + message.dropped_tiles
        first = not self._observed.has_stream
        try:
            self._observed.on_stream(Stream(message.expected_batches, settled, message.tile_bytes))
        except NonsenseError as error:
            self._count("malformed_ledger", error)
            return
        if first:
            self._carry_out(self._protocol.start(self._active_since_s))

    def _on_link_state(self, message: m.LinkState) -> None:
        sender = "" if message.sender == graph.SENSING else message.sender
        receiver = "" if message.receiver == graph.GROUND else message.receiver
        try:
            if not {sender, receiver} <= {"", *self.value("satellites")}:
                raise NonsenseError(f"no link is known from {message.sender!r} to {message.receiver!r}")
            is_measured = message.source == m.LinkState.SOURCE_MEASURED
            if not is_measured and message.source != m.LinkState.SOURCE_MODEM:
                raise NonsenseError(f"source {message.source} of a link's state; allowed are 0 and 1")
            if not (message.up or is_measured):
                # What it will carry when it is back, it says then.
                return
            link = (message.rate_bps, message.propagation_s)
            self._observed.on_link(sender, receiver, link, time.monotonic(), measured=is_measured)
        except NonsenseError as error:
            self._count("malformed_link_state", error)

    def _on_plan_active(self, message: m.Plan) -> None:
        plan = self._gate.hear(message, self).sound
        if plan is not None:
            self._carry_out(self._protocol.on_active(plan, time.monotonic()))

    def _on_plan_proposed(self, message: m.Plan) -> None:
        plan = self._gate.hear(message, self).sound
        if plan is not None:
            self._carry_out(self._protocol.on_proposal_seen(plan, time.monotonic()))

    def _count(self, cause: str, error: Exception) -> None:
        self.counters.add(cause)
        self.get_logger().warning(f"ignored: {error}", throttle_duration_sec=10.0)

    def _note_refusal(self, report: Report) -> None:
        pending = self._protocol.pending
        if pending is None or report.about != (pending.epoch, pending.plan_hash):
            return
        refusal = f"{report.satellite} refuses plan {pending.epoch}: {report.reason}"
        if report.readiness is Readiness.REFUSED and refusal != self._refusal:
            self._refusal = refusal
            self.counters.add("refused_proposals")

    def _on_replan(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self.state != "active":
            response.message = f"no plan: the planner is {self.state}"
            return response
        if not self._observed.has_stream:
            response.message = f"no plan: {self._missing()}"
            return response
        proposed = self._carry_out(self._protocol.on_replan("an operator asks for it", time.monotonic()))
        response.success = proposed is not None
        response.message = (
            f"plan {proposed.epoch} proposed: {proposed.predicted_makespan_s:.1f} s"
            if proposed is not None
            else self._trouble() or f"no plan yet: {self._missing()}"
        )
        return response

    # What follows

    def _tick(self) -> None:
        if self.state != "active":
            return
        now_s, protocol = time.monotonic(), self._protocol
        self._take_signs(now_s)
        if protocol.unheard:
            # A model takes long to import; it says hello meanwhile.
            protocol.on_starting(self._hello.starting(STARTING_SILENCE_S))
        self._carry_out(protocol.on_tick(now_s))
        if protocol.active is not None and (reason := self._flight.reason(protocol.active, protocol.alive)):
            self._carry_out(protocol.on_costs(reason, now_s))
        if protocol.pending is None:
            self._refusal = ""
        self._tell(self._trouble(), now_s)

    def _tell(self, trouble: str, now_s: float) -> None:
        """Log what keeps it from planning, once; /diagnostics go on saying it."""
        late = now_s - self._active_since_s > self.value("start_s") and self._protocol.active is None
        waiting = f"waiting to plan: {missing}" if late and not trouble and (missing := self._missing()) else ""
        if (trouble, waiting) == (self._problem_sentence, self._waiting_sentence):
            return
        self._problem_sentence, self._waiting_sentence = trouble, waiting
        if trouble:
            self.get_logger().error(trouble)
        elif waiting:
            self.get_logger().warning(waiting)

    def _trouble(self) -> str:
        """Why there is no plan for the satellites alive, or why it is not flown; empty if all is well."""
        if self._protocol.exhausted:
            return (
                "no plan: the last epoch was used, so none can follow; sign plans, and start sensing and planner anew"
            )
        return self._flight.why_not if self._protocol.infeasible else self._refusal

    def _missing(self) -> str:
        silent = "".join(f", {name}" for name in self._protocol.unheard)
        if not self._observed.has_stream:
            return "sensing has not reported yet"
        return f"no status yet from {silent[2:]}" if silent else ""

    def _carry_out(self, actions: Sequence[Action]) -> Plan | None:
        """Do what the machine says, in order; returns the plan that was proposed, if one was."""
        published = None
        for action in actions:
            match action:
                case PersistIncarnation():
                    self._persist(action.incarnation)
                case Propose():
                    incarnation = action.plan.epoch.incarnation
                    if incarnation == self._persisted or self._persist(incarnation):
                        published = self._publish(action.plan, action.reason)
                case _:
                    unhandled(action)
        return published

    def _persist(self, incarnation: int) -> bool:
        try:
            write_incarnation(self._state_file, incarnation)
        except OSError as error:
            # An epoch that is not on disk could be used twice: no plan without.
            self.counters.add("state_not_written")
            self.get_logger().error(f"cannot propose: {error}")
            return False
        self._persisted = incarnation
        return True

    def _publish(self, plan: Plan, reason: str) -> Plan:
        plan, lines = self._flight.explained(plan)
        plan = self._keys.sign(plan)
        if silent := self._protocol.unheard:
            self.get_logger().warning(f"plan {plan.epoch} does without {', '.join(silent)}: not heard of yet")
        self.get_logger().info(f"propose plan {plan.epoch}: {reason}")
        for line in lines:
            self.get_logger().info(line)
        self._refusal = ""
        self._proposed.publish(convert.plan_to(plan, self.stamp()))
        self.counters.add("plans_proposed")
        return plan

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        level, sentence, values = super().diagnose()
        if self.state != "active":
            return level, sentence, values
        active, pending = self._protocol.active, self._protocol.pending
        values = {
            "alive": ", ".join(self._protocol.alive),
            "active": str(active.epoch) if active is not None else "",
            "proposed": str(pending.epoch) if pending is not None else "",
            "decision": self._flight.decision,
            "ages [s]": ", ".join(f"{what} {age_s:.0f}" for what, age_s in self._inputs.ages().items()),
        }
        if self._problem_sentence:
            return DiagnosticStatus.ERROR, self._problem_sentence, values
        if self._waiting_sentence:
            return DiagnosticStatus.WARN, self._waiting_sentence, values
        return level, sentence, values


def main() -> int:
    return run(lambda _: [PlannerNode()])


if __name__ == "__main__":
    sys.exit(main())
