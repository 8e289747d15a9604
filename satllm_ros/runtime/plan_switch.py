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
    # Willing, but its memory does not hold the old and the new blocks at once.
    NEEDS_DRAIN = 4


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


@dataclass(frozen=True)
class Entry:
    """A plan on board and this satellite's part in it; `stage` is None when it only stores and downlinks."""

    plan: Plan
    stage: Stage | None


@dataclass(frozen=True)
class Report:
    """What a satellite makes of the newest plan it was told of; replaced as a whole: no reader sees a mixture."""

    epoch: Epoch = NO_EPOCH
    plan_hash: str = ""
    readiness: Readiness = Readiness.NONE
    reason: str = ""


class PlanTable:
    """A satellite's side: the plans it can serve, by epoch, and those whose blocks are being loaded.

    A late joiner hears the active plan and the next proposal at the same time, in either order: both are taken.
    """

    def __init__(self, satellite: str, *, model_id: str, blocks: int, known: Collection[str]) -> None:
        self.satellite = satellite
        self._model_id = model_id
        self._blocks = blocks
        self._known = frozenset(known)
        # Replaced, never changed in place: a status is made from them on other threads.
        self._entries: dict[Epoch, Entry] = {}
        self._loading: dict[Epoch, Plan] = {}
        self._low_water = NO_EPOCH
        self.report = Report()

    def on_plan(self, plan: Plan) -> Stage | None:
        """Take a proposal or, as a late joiner, the active plan; returns the blocks to load, if any.

        Sets `report`: READY when nothing need be loaded, LOADING when the returned stage must be, REFUSED with
        a reason when the plan is unacceptable. A plan that is on board or being loaded changes nothing, except that it
        takes the place of a refusal in the report.
        """
        entry = self._entries.get(plan.epoch)
        held = entry.plan if entry is not None else self._loading.get(plan.epoch)
        if held is not None and held.plan_hash == plan.plan_hash:
            if self.report.readiness is Readiness.REFUSED:
                self._say(held, Readiness.LOADING if entry is None else Readiness.READY)
            return None
        try:
            check_plan(plan, model_id=self._model_id, blocks=self._blocks, known=self._known)
            if held is not None:
                raise PlanError(f"epoch {plan.epoch} is taken by plan {held.plan_hash}, not {plan.plan_hash}")
            if plan.epoch < self._low_water:
                raise PlanError(
                    f"plan {plan.epoch} is older than every batch in flight, which obey {self._low_water} on"
                )
        except PlanError as error:
            self._say(plan, Readiness.REFUSED, str(error))
            return None
        stage = plan.stage_of(self.satellite)
        if stage is None or self._holds(stage.start, stage.stop):
            self._activate(plan)
            return None
        self._loading = {**self._loading, plan.epoch: plan}
        self._say(plan, Readiness.LOADING)
        return stage

    def on_loaded(self, epoch: Epoch) -> None:
        """The blocks of a plan being loaded are in memory; of any other plan this is no news."""
        plan = self._loading.get(epoch)
        if plan is not None:
            self._activate(plan)

    def refuse(self, plan: Plan, reason: str) -> None:
        """The plan cannot be served here, since its blocks could not be loaded; it may be proposed again."""
        self._loading = {e: p for e, p in self._loading.items() if p.plan_hash != plan.plan_hash}
        self._say(plan, Readiness.REFUSED, reason)

    def entry(self, epoch: Epoch, plan_hash: str) -> Entry | None:
        """The plan a batch names, or None if it is not on board (the batch is then refused)."""
        held = self._entries.get(epoch)
        return held if held is not None and held.plan.plan_hash == plan_hash else None

    def on_low_water(self, low_water: Epoch) -> None:
        """Forget plans older than the oldest epoch in flight; the newest plan always stays."""
        if self._entries:
            keep_from = min(low_water, max(self._entries))
            self._entries = {e: entry for e, entry in self._entries.items() if e >= keep_from}
            self._loading = {e: plan for e, plan in self._loading.items() if e >= keep_from}
            self._low_water = max(self._low_water, keep_from)

    @property
    def newest(self) -> Entry | None:
        """The newest plan on board."""
        entries = self._entries
        return entries[max(entries)] if entries else None

    @property
    def epochs(self) -> list[Epoch]:
        """Epochs of the plans on board, oldest first."""
        return sorted(self._entries)

    @property
    def proposed(self) -> Epoch:
        """Epoch that the report is about."""
        return self.report.epoch

    @property
    def proposed_hash(self) -> str:
        """Hash of the plan that the report is about."""
        return self.report.plan_hash

    @property
    def readiness(self) -> Readiness:
        """What the report says."""
        return self.report.readiness

    @property
    def reason(self) -> str:
        """Why the report says REFUSED."""
        return self.report.reason

    def needed_blocks(self) -> set[tuple[int, int]]:
        """(start, stop) of every sub-model that some plan on board, or being loaded, still needs."""
        stages = [entry.stage for entry in self._entries.values()]
        stages += [plan.stage_of(self.satellite) for plan in self._loading.values()]
        return {(stage.start, stage.stop) for stage in stages if stage is not None}

    def _holds(self, start: int, stop: int) -> bool:
        stages = [entry.stage for entry in self._entries.values()]
        return any(s is not None and (s.start, s.stop) == (start, stop) for s in stages)

    def _activate(self, plan: Plan) -> None:
        self._entries = {**self._entries, plan.epoch: Entry(plan, plan.stage_of(self.satellite))}
        self._loading = {e: p for e, p in self._loading.items() if e != plan.epoch}
        self._say(plan, Readiness.READY)

    def _say(self, plan: Plan, readiness: Readiness, reason: str = "") -> None:
        said = self.report
        same = (plan.epoch, plan.plan_hash) == (said.epoch, said.plan_hash)
        # Sensing waits for the newest plan: what becomes of an older one, or of its double, must not hide that one.
        if said.readiness in (Readiness.LOADING, Readiness.READY) and plan.epoch <= said.epoch and not same:
            return
        self.report = Report(plan.epoch, plan.plan_hash, readiness, reason)
