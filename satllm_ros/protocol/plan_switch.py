"""When a plan may be committed: the planner proposes, satellites load, and the last one that is ready decides.

A pure state machine (event in, decision out; no clock, thread or I/O) that runs in sensing; the satellites' side is
`satellite`.
"""

from __future__ import annotations

from collections.abc import Collection

from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.plan import Plan, PlanError, check_plan
from satllm_ros.protocol.vocabulary import Readiness


def takes_precedence(plan: Plan, held: Plan) -> bool:
    """Whether a proposal takes the place of another of the same epoch: the planner of the lesser id wins."""
    return plan.epoch == held.epoch and plan.planner_id < held.planner_id


class PlanCommitter:
    """Sensing's side: holds one proposal and commits it when every member is ready for exactly that plan."""

    def __init__(self, *, model_id: str, blocks: int, known: Collection[str]) -> None:
        self._model_id = model_id
        self._blocks = blocks
        self._known = frozenset(known)
        self._ready: dict[str, tuple[Epoch, str]] = {}
        self.active: Plan | None = None
        self.proposal: Plan | None = None

    def on_proposal(self, plan: Plan) -> Plan | None:
        """Take a proposal; returns the plan to commit if every member already reported ready for it.

        Raises
        ------
        PlanError
            If the plan is malformed, older than what is held, or reuses an epoch for other content.
        """
        check_plan(plan, model_id=self._model_id, blocks=self._blocks, known=self._known)
        for held in (self.active, self.proposal):
            if held is None:
                continue
            if held is self.proposal and takes_precedence(plan, held):
                continue
            if plan.epoch == held.epoch and plan.plan_hash != held.plan_hash:
                raise PlanError(f"epoch {plan.epoch} is taken by plan {held.plan_hash}, not {plan.plan_hash}")
            if plan.epoch < held.epoch:
                raise PlanError(f"plan {plan.epoch} is older than plan {held.epoch}")
        if self.active is not None and plan.epoch == self.active.epoch:
            return None
        self.proposal = plan
        return self._try_commit()

    def withdraw(self) -> None:
        """Give the proposal up; the active plan goes on."""
        self.proposal = None

    def forget(self, satellite: str) -> None:
        """What a satellite reported is no longer true: it died, or lives again with an empty memory."""
        self._ready.pop(satellite, None)

    def on_status(self, satellite: str, readiness: Readiness, epoch: Epoch, plan_hash: str) -> Plan | None:
        """Take a satellite's report; returns the plan to commit if it was the last one missing."""
        if satellite not in self._known:
            return None
        if readiness is Readiness.READY:
            self._ready[satellite] = (epoch, plan_hash)
        else:
            self._ready.pop(satellite, None)
        return self._try_commit()

    @property
    def waiting_for(self) -> frozenset[str]:
        """Members that are not yet ready for the proposal."""
        if self.proposal is None:
            return frozenset()
        wanted = (self.proposal.epoch, self.proposal.plan_hash)
        return frozenset(name for name in self.proposal.members if self._ready.get(name) != wanted)

    def _try_commit(self) -> Plan | None:
        if self.proposal is None or self.waiting_for:
            return None
        self.active, self.proposal = self.proposal, None
        return self.active
