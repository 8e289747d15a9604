"""Planner node: proposes the optimal split from what satellites and links say of themselves."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import replace
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from std_srvs.srv import Trigger

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets_path import artefacts_path, checkpoint_path
from satllm_ros.compression.artefacts import load_artefacts
from satllm_ros.compression.setting import CodecSetting
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes import conversions as convert
from satllm_ros.nodes.base import FlightNode
from satllm_ros.nodes.links import KINDS
from satllm_ros.nodes.parameters import ARTEFACTS, BATCH_TILES, CHECKPOINT, SATELLITES, Parameter
from satllm_ros.nodes.process import run
from satllm_ros.planning.explain import explain
from satllm_ros.planning.flight import FlightFacts, LinkFacts, SatelliteFacts, flight_problem
from satllm_ros.planning.offered import offered_settings
from satllm_ros.planning.problem import Link
from satllm_ros.planning.solution import Infeasible, Solution
from satllm_ros.planning.solve import solve
from satllm_ros.runtime.identity import Epoch
from satllm_ros.runtime.plan import Plan, PlanError, Stage, check_plan

CHECK_PERIOD_S = 0.25
# A satellite that is still silent this long after activation is named in the log.
PATIENCE_S = 10.0


class PlannerNode(FlightNode):
    """Proposes one plan when every satellite has reported, and again when asked to; sensing commits it."""

    PARAMETERS = (
        CHECKPOINT,
        ARTEFACTS,
        SATELLITES,
        BATCH_TILES,
        Parameter("codecs", ["int8", "raw"], "Codec settings the planner may choose from"),
        Parameter("accuracy_floor", 0.0, "Least accuracy that a codec setting may have", "share", 0.0, 1.0),
        Parameter("batches", 64, "Batches B to plan for when sensing does not know how many will come", "batch", 1),
        *(
            parameter
            for kind, what in KINDS.items()
            for parameter in (
                Parameter(f"{kind}_rate_bps", 5e8, f"Rate of {what} before any measurement", "bit/s", 1.0, 1e15),
                Parameter(f"{kind}_propagation_s", 0.0, f"Propagation delay of {what}", "s", 0.0, 60.0),
            )
        ),
    )

    def __init__(self) -> None:
        super().__init__("planner")
        self._statuses: dict[str, m.SatelliteStatus] = {}
        self._rates: dict[str, Link] = {}
        self._ledger: m.Ledger | None = None
        self._highest = Epoch()
        self._own: Epoch | None = None
        self._wanted = True
        self._problem_sentence = ""
        self.create_service(Trigger, graph.REPLAN_SERVICE, self._on_replan)
        self.every(CHECK_PERIOD_S, self._check)

    def configure(self) -> None:
        self._spec = read_spec(checkpoint_path(self.value("checkpoint")))
        artefacts = load_artefacts(artefacts_path(self.value("artefacts")), model_id=self._spec.model_id)
        self._settings = offered_settings(artefacts, self.value("codecs"))
        self._rates = {
            kind: Link(self.value(f"{kind}_rate_bps"), self.value(f"{kind}_propagation_s")) for kind in KINDS
        }

    def activate(self) -> None:
        self._statuses.clear()
        self._active_since_s = time.monotonic()
        self._proposed = self.publish_on(graph.PLAN_PROPOSED)
        for satellite in self.value("satellites"):
            self.listen_to(graph.STATUS, self._on_status, satellite)
        self.listen_to(graph.LEDGER, self._on_ledger)
        self.listen_to(graph.LINK_STATE, self._on_link_state)
        self.listen_to(graph.PLAN_ACTIVE, self._on_plan_active)

    def _on_status(self, message: m.SatelliteStatus) -> None:
        if not 0.0 <= message.block_s < math.inf:
            self.counters.add("malformed_status")
            return
        # Epochs that anyone holds are taken, even those of a planner that died before its plan was committed.
        known = [convert.epoch_from(epoch) for epoch in (message.proposed, *message.loaded)]
        self._highest = max(self._highest, *known)
        previous = self._statuses.get(message.satellite)
        self._statuses[message.satellite] = message
        refused = message.readiness == m.SatelliteStatus.READINESS_REFUSED
        if refused and self._own is not None and convert.epoch_from(message.proposed) == self._own:
            if previous is None or previous.reason != message.reason:
                self.get_logger().error(f"{message.satellite} refuses plan {self._own}: {message.reason}")
            self._problem_sentence = f"{message.satellite} refuses plan {self._own}: {message.reason}"

    def _on_ledger(self, message: m.Ledger) -> None:
        if not 0.0 <= message.tile_bytes < math.inf:
            self.counters.add("malformed_ledger")
            return
        self._ledger = message

    def _on_link_state(self, message: m.LinkState) -> None:
        kind = "upload" if message.sender == graph.SENSING else "s2g" if message.receiver == graph.GROUND else "isl"
        if not (0.0 < message.rate_bps < math.inf and 0.0 <= message.propagation_s < math.inf):
            self.counters.add("malformed_link_state")
            return
        self._rates[kind] = Link(message.rate_bps, message.propagation_s)

    def _on_plan_active(self, message: m.Plan) -> None:
        try:
            plan = convert.plan_from(message)
            check_plan(plan, model_id=self._spec.model_id, blocks=self._spec.blocks, known=self.value("satellites"))
        except PlanError:
            self.counters.add("bad_plan")
            return
        self._highest = max(self._highest, plan.epoch)

    def _on_replan(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        missing = self._missing()
        if self.state != "active" or missing:
            response.message = f"no plan: the planner is {self.state}" if self.state != "active" else missing
            return response
        outcome = self._propose()
        response.success = isinstance(outcome, Solution)
        response.message = (
            f"plan {self._own} proposed: {outcome.delay_s:.1f} s"
            if isinstance(outcome, Solution)
            else " ".join(r.sentence for r in outcome.reasons)
        )
        return response

    def _missing(self) -> str:
        silent = [name for name in self.value("satellites") if name not in self._statuses]
        if silent:
            return f"no status yet from {', '.join(silent)}"
        return "sensing has not reported yet" if self._ledger is None else ""

    def _check(self) -> None:
        if self.state != "active" or not self._wanted:
            return
        missing = self._missing()
        if not missing:
            self._wanted = False
            self._propose()
        elif missing != self._problem_sentence and time.monotonic() - self._active_since_s > PATIENCE_S:
            self._problem_sentence = missing
            self.get_logger().warning(f"cannot plan: {missing}")

    def _propose(self) -> Solution | Infeasible:
        problem = flight_problem(self._facts())
        outcome = solve(problem)
        lines = explain(problem, outcome)
        self._problem_sentence = ""
        if isinstance(outcome, Infeasible):
            self._problem_sentence = "; ".join(lines)
            for line in lines:
                self.get_logger().error(line)
            return outcome
        for line in lines:
            self.get_logger().info(line)
        plan = self._plan(outcome, "\n".join(lines))
        self._proposed.publish(convert.plan_to(plan, self.get_clock().now().to_msg()))
        self.counters.add("plans_proposed")
        return outcome

    def _facts(self) -> FlightFacts:
        ledger = self._ledger
        return FlightFacts(
            spec=self._spec,
            batches=ledger.expected_batches or self.value("batches"),
            batch_tiles=self.value("batch_tiles"),
            upload_tile_bytes=ledger.tile_bytes,
            satellites=[
                SatelliteFacts(name, self._statuses[name].block_s, self._statuses[name].memory_budget_bytes)
                for name in self.value("satellites")
            ],
            links=LinkFacts(self._rates["upload"], self._rates["isl"], self._rates["s2g"]),
            settings=self._settings,
            accuracy_floor=self.value("accuracy_floor"),
        )

    def _plan(self, solution: Solution, explanation: str) -> Plan:
        # The first plan of this life starts a new incarnation above every one it has seen.
        self._own = (
            Epoch(self._highest.incarnation + 1, 1)
            if self._own is None
            else Epoch(self._own.incarnation, self._own.counter + 1)
        )
        settings = [*map(CodecSetting.parse, solution.settings), CodecSetting.parse("raw")]
        plan = Plan(
            epoch=self._own,
            planner_id=self.get_fully_qualified_name(),
            model_id=self._spec.model_id,
            source=graph.SENSING,
            stages=tuple(
                Stage(stage.satellite, stage.start, stage.stop, setting)
                for stage, setting in zip(solution.stages, settings, strict=True)
            ),
            downlink=solution.stages[-1].satellite,
            accuracy_floor=self.value("accuracy_floor"),
        )
        return replace(
            plan,
            predicted_makespan_s=solution.predicted.exact_s,
            predicted_paper_s=solution.predicted.paper_s,
            predicted_cycle_s=solution.bottleneck.seconds,
            explanation=explanation,
        ).sealed()

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        if self.state == "active" and self._problem_sentence:
            return DiagnosticStatus.ERROR, self._problem_sentence, {}
        return super().diagnose()


def main() -> int:
    return run(lambda _: [PlannerNode()])


if __name__ == "__main__":
    sys.exit(main())
