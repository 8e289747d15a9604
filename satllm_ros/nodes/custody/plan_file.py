"""The plan that sensing committed, kept for its next life."""

from __future__ import annotations

from pathlib import Path

from rclpy.serialization import deserialize_message, serialize_message
from rclpy.time import Time

from satllm_ros import msg as m
from satllm_ros.nodes.base.diagnostic_keys import BAD_PLAN
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire.plan_gate import PlanGate, PlanVerdict
from satllm_ros.protocol.plan import Plan
from satllm_ros.storage.kept import keep, kept

PLAN_NAME = "sensing.plan"


class PlanFile:
    """File of one plan, in the state directory of a run."""

    def __init__(self, node: FlightNode, directory: Path, run_id: int) -> None:
        self._node = node
        self._path = directory / PLAN_NAME
        self._run_id = run_id

    def read(self, gate: PlanGate) -> Plan | None:
        """The plan that an earlier life committed; None if there is none that this one could fly.

        Raises
        ------
        ValueError, OSError
            As `kept`.
        """
        content = kept(self._path, self._run_id)
        if content is None:
            return None
        try:
            verdict = gate.judge(deserialize_message(content, m.Plan))
        # Bytes that are no message end in rmw's own error, a RuntimeError.
        except RuntimeError as error:
            verdict = PlanVerdict(None, BAD_PLAN, str(error))
        if verdict.cause:
            self._node.get_logger().warning(f"the plan kept in {self._path} is not flown: {verdict.reason}")
        return verdict.sound

    def write(self, plan: Plan) -> None:
        """Keep a plan durably; a disk that fails is complained of."""
        try:
            keep(self._path, self._run_id, serialize_message(convert.plan_to(plan, Time().to_msg())))
        except OSError as error:
            # This life can fly without; the next one will wait for a planner.
            self._node.complain(
                "persist_failed", f"plan {plan.epoch} is not kept for the next life of this node: {error}"
            )
