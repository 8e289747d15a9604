"""A satellite's part in plan switches: which sub-models it holds, what it reports, which batches it serves.

A pure state machine. What should be in memory follows from what was heard (active plan, newest proposal, state of
the switch, low water), whatever the order in which it was heard: a late joiner hears all of it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from satllm_ros.protocol.identity import NO_EPOCH, Envelope, Epoch
from satllm_ros.protocol.plan import Plan, PlanError, Stage, check_plan
from satllm_ros.protocol.plan_switch import takes_precedence
from satllm_ros.protocol.signals import Report, SwitchState
from satllm_ros.protocol.vocabulary import Cause, PlanKey, Readiness, plan_key

Blocks = tuple[int, int]
KEPT_PROPOSALS = 2


@dataclass(frozen=True)
class Load:
    """Bring blocks (start, stop] into memory on a worker; answer with `on_loaded` or `on_load_failed`."""

    blocks: Blocks


@dataclass(frozen=True)
class Unload:
    """Free blocks (start, stop] now, before any `Load` that follows."""

    blocks: Blocks


@dataclass(frozen=True)
class Publish:
    """The report has changed: publish it."""

    report: Report


Action = Load | Unload | Publish


@dataclass(frozen=True)
class Serve:
    """Run this stage on the batch, then send it where the batch's own plan says."""

    plan: Plan
    stage: Stage


@dataclass(frozen=True)
class Refuse:
    """Do not serve the batch; tell sensing why."""

    cause: Cause


@dataclass(frozen=True)
class Ignore:
    """Not meant for this satellite: count it, nothing else."""

    reason: str


def _no_objection(plan: Plan) -> str:
    # By name, not a lambda: explorations keep whole machines aside, as bytes.
    return ""


class SatelliteProtocol:
    """Plans and sub-models of one life of one satellite; a restart makes a new one, with an empty memory.

    Parameters
    ----------
    layer_bytes
        Bytes of parameters of each of the L blocks.
    budget_bytes
        Bound on the bytes in memory at any moment, sub-models being loaded included.
    objection
        Why this satellite cannot serve a plan that is sound in itself, in one sentence; empty if it can.
    """

    def __init__(
        self,
        satellite: str,
        boot_id: int,
        *,
        model_id: str,
        layer_bytes: Sequence[int],
        known: Collection[str],
        budget_bytes: int,
        objection: Callable[[Plan], str] = _no_objection,
    ) -> None:
        self._objection = objection
        self.satellite = satellite
        self.boot_id = boot_id
        self._model_id = model_id
        self._layer_bytes = tuple(layer_bytes)
        self._known = frozenset(known)
        self.budget_bytes = budget_bytes
        self._active: Plan | None = None
        self._former: dict[Epoch, Plan] = {}
        self._proposal: Plan | None = None
        self._superseded: list[Plan] = []
        self._switch = SwitchState()
        self._low_water = NO_EPOCH
        self.loaded: set[Blocks] = set()
        self._loading: Blocks | None = None
        self._failed: dict[Blocks, str] = {}
        self._refusal: tuple[PlanKey, str] | None = None
        self.report = Report(satellite, boot_id)

    # What is heard

    def on_proposal(self, plan: Plan) -> list[Action]:
        """A plan was proposed. Older ones than the newest heard, and withdrawn ones, change nothing."""
        held = self._proposal
        if plan.epoch <= max(self._switch.withdrawn, self._active.epoch if self._active else NO_EPOCH):
            return []
        if held is not None:
            if plan.epoch < held.epoch or plan_key(plan) == plan_key(held):
                return []
            if plan.epoch == held.epoch and not takes_precedence(plan, held):
                return self._refuse(plan, f"epoch {plan.epoch} is taken by plan {held.plan_hash}, not {plan.plan_hash}")
        try:
            self._check(plan)
        except PlanError as error:
            return self._refuse(plan, str(error))
        if held is not None and held.epoch < plan.epoch:
            # It may have been committed just now: kept while there is room for it.
            self._superseded = [*self._superseded, held][-KEPT_PROPOSALS:]
        self._proposal, self._refusal = plan, None
        self._failed.clear()
        return self._reconcile()

    def on_active(self, plan: Plan) -> list[Action]:
        """Sensing has committed a plan. It outranks whatever was proposed with the same epoch."""
        if self._active is not None and plan.epoch <= self._active.epoch:
            return []
        try:
            self._check(plan)
        except PlanError as error:
            return self._refuse(plan, str(error))
        if self._active is not None:
            self._former[self._active.epoch] = self._active
        self._active, self._refusal = plan, None
        self._failed.clear()
        if self._proposal is not None and self._proposal.epoch <= plan.epoch:
            self._proposal = None
        self._superseded = [held for held in self._superseded if held.epoch > plan.epoch]
        return self._reconcile()

    def on_switch(self, state: SwitchState) -> list[Action]:
        """Sensing says where it is between two plans."""
        self._switch = state
        self._low_water = max(self._low_water, state.low_water)
        if self._proposal is not None and self._proposal.epoch <= state.withdrawn:
            self._proposal = None
        self._superseded = [held for held in self._superseded if held.epoch > state.withdrawn]
        return self._reconcile()

    def on_budget(self, budget_bytes: int) -> list[Action]:
        """Memory was taken away or given back; what does not fit any more goes at once, even if it is flown."""
        self.budget_bytes = budget_bytes
        self._failed.clear()
        return self._reconcile()

    def on_loaded(self, blocks: Blocks) -> list[Action]:
        """What `Load` asked for is in memory."""
        self.loaded.add(blocks)
        self._loading = None
        return self._reconcile()

    def on_load_failed(self, blocks: Blocks, reason: str) -> list[Action]:
        """What `Load` asked for cannot be loaded; asked for again when the next plan is heard."""
        self._loading = None
        self._failed[blocks] = reason
        return self._reconcile()

    def on_batch(self, envelope: Envelope, cut: int) -> tuple[Serve | Refuse | Ignore, list[Action]]:
        """What to do with a batch that `cut` blocks were already run on."""
        if envelope.destination != self.satellite:
            return Ignore("misrouted"), []
        plan = self._plan_on_board((envelope.epoch, envelope.plan_hash))
        if plan is None:
            return Refuse(Cause.UNKNOWN_EPOCH), []
        actions: list[Action] = []
        if self._active is None or plan.epoch > self._active.epoch:
            # Only sensing stamps batches: this one says sooner than `plan_active` that the plan is committed.
            actions += self.on_active(plan)
        # A batch is itself in flight: a mark above its own epoch is damaged, and says nothing of older ones either.
        if self._low_water < envelope.low_water <= envelope.epoch:
            self._low_water = envelope.low_water
            actions += self._reconcile()
        stage = plan.stage_of(self.satellite)
        if stage is None or stage.start != cut or envelope.model_id != self._model_id:
            return Refuse(Cause.MALFORMED), actions
        return Serve(plan, stage), actions

    # What follows from it

    @property
    def memory_bytes(self) -> int:
        """Bytes of what is loaded and being loaded."""
        return sum(map(self._size, self.loaded)) + (self._size(self._loading) if self._loading else 0)

    @property
    def plans(self) -> list[Plan]:
        """Plans worth keeping, most important first."""
        former = sorted(self._former.values(), key=lambda plan: plan.epoch, reverse=True)
        committed = [*([self._active] if self._active else []), *former]
        if self._proposal is None:
            return committed
        # Drained: nothing committed is in flight, the proposal is all that counts.
        first = [self._proposal, *committed] if self.is_drained else [*committed, self._proposal]
        return [*first, *reversed(self._superseded)]

    @property
    def is_drained(self) -> bool:
        """Whether sensing has promised that nothing flies until the proposal is committed or withdrawn."""
        return self._proposal is not None and self._switch.drained == plan_key(self._proposal)

    def _reconcile(self) -> list[Action]:
        """Bring memory towards what the plans need, and the report up to date."""
        self._former = {e: plan for e, plan in self._former.items() if e >= self._low_water}
        keep = self.fitting()
        actions: list[Action] = [Unload(blocks) for blocks in sorted(self.loaded - keep)]
        self.loaded &= keep
        # A former plan whose blocks had to go will never be loaded again.
        self._former = {e: plan for e, plan in self._former.items() if self._blocks(plan) in self._here()}
        if self._loading is None:
            wanted = next((b for b in self._wanted() if b in keep and b not in self.loaded), None)
            if wanted is not None and wanted not in self._failed:
                self._loading = wanted
                actions.append(Load(wanted))
        return [*actions, *self._update_report()]

    def fitting(self) -> set[Blocks]:
        """Blocks that fit in memory together, in the order of importance of their plans."""
        # What is being loaded cannot be stopped: its memory is taken until it is there.
        taken = 0 if self._loading is None else self._size(self._loading)
        keep = set() if self._loading is None else {self._loading}
        for blocks in self._wanted():
            if blocks not in keep and taken + self._size(blocks) <= self.budget_bytes:
                keep.add(blocks)
                taken += self._size(blocks)
        return keep

    def _wanted(self) -> Iterator[Blocks]:
        for plan in self.plans:
            blocks = self._blocks(plan)
            # The others serve what may still be in flight.
            worth_loading = plan in (self._active, self._proposal)
            if blocks is not None and (worth_loading or blocks in self._here()):
                yield blocks

    def _here(self) -> set[Blocks | None]:
        """Blocks in memory or on their way to it; those of a plan that needs none here are always."""
        return {None, self._loading, *self.loaded}

    def _plan_on_board(self, key: PlanKey) -> Plan | None:
        for plan in self.plans:
            if plan_key(plan) == key and self._has(plan):
                return plan
        return None

    def _has(self, plan: Plan) -> bool:
        blocks = self._blocks(plan)
        return blocks is None or blocks in self.loaded

    def _update_report(self) -> list[Action]:
        newest = self._proposal or self._active
        about, readiness, reason = plan_key(newest), Readiness.NONE, ""
        # A bad plan must not hide what sensing waits to hear about a good one.
        if self._refusal is not None and self._proposal is None and self._refusal[0][0] > about[0]:
            about, reason = self._refusal
            readiness = Readiness.REFUSED
        elif newest is not None:
            readiness, reason = self._readiness(newest)
        serves = tuple(sorted(plan_key(plan) for plan in self.plans if self._has(plan)))
        report = Report(self.satellite, self.boot_id, about, readiness, reason, serves)
        if report == self.report:
            return []
        self.report = report
        return [Publish(report)]

    def _readiness(self, plan: Plan) -> tuple[Readiness, str]:
        blocks = self._blocks(plan)
        if blocks is None or blocks in self.loaded:
            return Readiness.READY, ""
        if blocks in self._failed:
            return Readiness.REFUSED, self._failed[blocks]
        if self._size(blocks) > self.budget_bytes:
            needs = f"blocks ({blocks[0]}, {blocks[1]}] need {self._size(blocks):,} bytes"
            return Readiness.REFUSED, f"{needs}, the budget is {self.budget_bytes:,}"
        if self._loading is not None or blocks in self.fitting():
            return Readiness.LOADING, ""
        return Readiness.NEEDS_DRAIN, ""

    def _refuse(self, plan: Plan, reason: str) -> list[Action]:
        self._refusal = (plan_key(plan), reason)
        return self._update_report()

    def _check(self, plan: Plan) -> None:
        check_plan(plan, model_id=self._model_id, blocks=len(self._layer_bytes), known=self._known)
        if reason := self._objection(plan):
            raise PlanError(f"plan {plan.epoch}: {reason}")

    def _blocks(self, plan: Plan) -> Blocks | None:
        stage = plan.stage_of(self.satellite)
        return (stage.start, stage.stop) if stage is not None else None

    def _size(self, blocks: Blocks) -> int:
        return sum(self._layer_bytes[blocks[0] : blocks[1]])
