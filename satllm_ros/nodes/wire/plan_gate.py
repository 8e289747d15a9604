"""What a plan that arrives must be before anybody obeys it: checked in one order, refused and counted by cause."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from satllm_ros import msg as m
from satllm_ros.model.spec import ModelSpec
from satllm_ros.nodes.base.diagnostic_keys import BAD_PLAN, PLAN_FORGED
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.plan import Plan, PlanError, check_plan
from satllm_ros.signing.signing import check_signature, parse_public_key


@dataclass(frozen=True)
class PlanVerdict:
    """What a gate makes of a plan.

    Attributes
    ----------
    plan
        None if it cannot be read, or nobody may believe it.
    cause
        `BAD_PLAN` or `PLAN_FORGED`; empty if it may be flown.
    reason
        In one sentence.
    """

    plan: Plan | None
    cause: str = ""
    reason: str = ""

    @property
    def sound(self) -> Plan | None:
        """The plan, if it may be flown."""
        return None if self.cause else self.plan


class PlanGate:
    """Judges plans by the model on board, the satellites of the constellation and the key that signs plans.

    Parameters
    ----------
    public_key
        64 hexadecimal digits; empty: unsigned plans are believed.

    Raises
    ------
    ValueError
        If the key is none.
    """

    def __init__(self, spec: ModelSpec, satellites: Collection[str], public_key: str) -> None:
        self._spec, self._satellites = spec, tuple(satellites)
        self._key = parse_public_key(public_key)

    def judge(self, message: m.Plan) -> PlanVerdict:
        """The first thing wrong: whether it can be read, then who made it, then what it asks for."""
        try:
            plan = convert.plan_from(message)
        except PlanError as error:
            return PlanVerdict(None, BAD_PLAN, str(error))
        try:
            check_signature(plan, self._key)
        except PlanError as error:
            return PlanVerdict(None, PLAN_FORGED, str(error))
        try:
            check_plan(plan, model_id=self._spec.model_id, blocks=self._spec.blocks, known=self._satellites)
        except PlanError as error:
            return PlanVerdict(plan, BAD_PLAN, str(error))
        return PlanVerdict(plan)

    def hear(self, message: m.Plan, node: FlightNode) -> PlanVerdict:
        """The same of a plan that a node is told: what is wrong is counted and logged there."""
        verdict = self.judge(message)
        if verdict.cause:
            node.ignore(verdict.cause, f"plan refused: {verdict.reason}")
        return verdict
