"""Plan switch without loss: the planner proposes, satellites load, sensing commits, satellites obey the batch.

Two pure state machines (event in, decision out; no clock, thread or I/O): `PlanCommitter` runs in sensing,
`PlanTable` in every satellite.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

from satllm_ros.runtime.identity import NO_EPOCH, Epoch
from satllm_ros.runtime.plan import Plan, PlanError, Stage, check_plan


class Readiness(IntEnum):
    """What a satellite makes of a proposal (message `SatelliteStatus`)."""

    NONE = 0
    LOADING = 1
    READY = 2
    REFUSED = 3


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
            if plan.epoch == held.epoch and plan.plan_hash != held.plan_hash:
                raise PlanError(f"epoch {plan.epoch} is taken by plan {held.plan_hash}, not {plan.plan_hash}")
            if plan.epoch < held.epoch:
                raise PlanError(f"plan {plan.epoch} is older than plan {held.epoch}")
        if self.active is not None and plan.epoch == self.active.epoch:
            return None
        self.proposal = plan
        return self._try_commit()

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


@dataclass(frozen=True)
class Entry:
    """A plan on board and this satellite's part in it; `stage` is None when it only stores and downlinks."""

    plan: Plan
    stage: Stage | None


class PlanTable:
    """A satellite's side: plans it can serve, by epoch, and the proposal it is loading."""

    def __init__(self, satellite: str, *, model_id: str, blocks: int, known: Collection[str]) -> None:
        self.satellite = satellite
        self._model_id = model_id
        self._blocks = blocks
        self._known = frozenset(known)
        self._entries: dict[Epoch, Entry] = {}
        self.pending: Plan | None = None
        self.proposed = NO_EPOCH
        self.proposed_hash = ""
        self.readiness = Readiness.NONE
        self.reason = ""

    def on_plan(self, plan: Plan) -> Stage | None:
        """Take a proposal or, as a late joiner, the active plan; returns the blocks to load, if any.

        Sets `readiness`: READY when nothing need be loaded, LOADING when the returned stage must be, REFUSED
        with `reason` when the plan is unacceptable. A plan of a known epoch changes nothing.
        """
        held = self._entries.get(plan.epoch)
        if held is not None and held.plan.plan_hash == plan.plan_hash:
            return None
        if self.pending is not None and self.pending.plan_hash == plan.plan_hash:
            return None
        try:
            check_plan(plan, model_id=self._model_id, blocks=self._blocks, known=self._known)
            if held is not None:
                raise PlanError(f"epoch {plan.epoch} is taken by plan {held.plan.plan_hash}, not {plan.plan_hash}")
            if self._entries and plan.epoch < min(self._entries):
                raise PlanError(f"plan {plan.epoch} is older than every plan on board")
        except PlanError as error:
            self.refuse(plan, str(error))
            return None
        self.proposed, self.proposed_hash, self.reason = plan.epoch, plan.plan_hash, ""
        stage = plan.stage_of(self.satellite)
        if stage is None or self._holds(stage.start, stage.stop):
            self._activate(plan)
            return None
        self.pending = plan
        self.readiness = Readiness.LOADING
        return stage

    def on_loaded(self, epoch: Epoch) -> None:
        """The pending plan's blocks are in memory."""
        if self.pending is not None and self.pending.epoch == epoch:
            self._activate(self.pending)

    def refuse(self, plan: Plan, reason: str) -> None:
        """The plan cannot be served here: it was unacceptable, or its blocks could not be loaded."""
        if self.pending is not None and self.pending.epoch == plan.epoch:
            self.pending = None
        self.proposed, self.proposed_hash = plan.epoch, plan.plan_hash
        self.readiness, self.reason = Readiness.REFUSED, reason

    def entry(self, epoch: Epoch, plan_hash: str) -> Entry | None:
        """The plan a batch names, or None if it is not on board (the batch is then refused)."""
        held = self._entries.get(epoch)
        return held if held is not None and held.plan.plan_hash == plan_hash else None

    def on_low_water(self, low_water: Epoch) -> None:
        """Forget plans older than the oldest epoch in flight; the newest plan always stays."""
        if self._entries:
            keep_from = min(low_water, max(self._entries))
            self._entries = {e: entry for e, entry in self._entries.items() if e >= keep_from}

    @property
    def newest(self) -> Entry | None:
        return self._entries[max(self._entries)] if self._entries else None

    @property
    def epochs(self) -> list[Epoch]:
        return sorted(self._entries)

    def needed_blocks(self) -> set[tuple[int, int]]:
        """(start, stop) of every sub-model that some plan on board, or the pending one, still needs."""
        stages = [entry.stage for entry in self._entries.values() if entry.stage is not None]
        if self.pending is not None:
            stages.append(self.pending.stage_of(self.satellite))
        return {(stage.start, stage.stop) for stage in stages if stage is not None}

    def _holds(self, start: int, stop: int) -> bool:
        return any(e.stage is not None and (e.stage.start, e.stage.stop) == (start, stop) for e in self._entries.values())

    def _activate(self, plan: Plan) -> None:
        self._entries[plan.epoch] = Entry(plan, plan.stage_of(self.satellite))
        self.pending = None
        self.readiness = Readiness.READY
