"""The planner's part in the protocol: when to propose, and under which epoch; a pure state machine.

What a good split is, others know: `split` is given the satellites that are alive. Any number of planners may run at
once, stale ones included: epochs order their plans, and sensing commits at most one of an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from satllm_ros.runtime.identity import NO_EPOCH, Epoch
from satllm_ros.runtime.liveness import Life, Liveness, LivenessLimits
from satllm_ros.runtime.plan import Plan
from satllm_ros.runtime.plan_switch import Readiness
from satllm_ros.runtime.signals import Report

# Draft of a plan for these satellites, its epoch and hash yet to be filled in; None if none can hold the model.
Split = Callable[[tuple[str, ...]], Plan | None]


@dataclass(frozen=True)
class PersistIncarnation:
    """Write durably, before any action that follows; the next life is given it."""

    incarnation: int


@dataclass(frozen=True)
class Propose:
    """Publish on `plan_proposed` (latched)."""

    plan: Plan
    reason: str


Action = PersistIncarnation | Propose


@dataclass(frozen=True)
class PlannerLimits:
    """Patience of a planner.

    Attributes
    ----------
    start_s
        A satellite of which nothing was heard for so long after the start is planned around.
    retry_s
        A proposal that was not committed for so long is made again, under a new epoch.
    yield_s
        After a proposal of a planner that takes precedence, the others keep still for so long.
    """

    start_s: float = 10.0
    retry_s: float = 60.0
    yield_s: float = 120.0
    liveness: LivenessLimits = LivenessLimits()


class PlannerProtocol:
    """One life of one planner.

    Parameters
    ----------
    persisted
        Highest incarnation that earlier lives persisted; 0 if none.
    """

    def __init__(
        self, planner_id: str, known: Collection[str], split: Split, limits: PlannerLimits, *, persisted: int = 0
    ) -> None:
        self._planner_id = planner_id
        self._known = tuple(known)
        self._split = split
        self._limits = limits
        self._liveness = Liveness(known, limits.liveness)
        self._highest = Epoch(persisted, 0)
        self._own = NO_EPOCH
        self._active: Plan | None = None
        self._pending: Plan | None = None
        self._proposed_s = float("-inf")
        self._yield_until_s = float("-inf")
        self._started_s: float | None = None
        self._reason = "first plan"
        self._forced = False
        self.infeasible = False

    def start(self, now_s: float) -> list[Action]:
        """Begin to listen; nothing is proposed before satellites had time to be heard."""
        self._started_s = now_s
        return []

    # What is heard

    def on_heartbeat(self, satellite: str, boot_id: int, now_s: float) -> list[Action]:
        """A sign of life."""
        change = self._liveness.on_sign(satellite, boot_id)
        if change is None:
            return []
        if change.before is not Life.UNHEARD:
            self._want(f"{satellite} has {'restarted' if change.restarted else 'returned'}", forced=False)
        return self._consider(now_s)

    def on_report(self, report: Report, now_s: float) -> list[Action]:
        """A satellite has published what it makes of the newest plan; also a sign of life."""
        if report.readiness is not Readiness.REFUSED:
            # The epoch of a refused plan may be nonsense.
            self._highest = max(self._highest, report.about[0])
        actions = self.on_heartbeat(report.satellite, report.boot_id, now_s)
        if self._liveness.is_former(report.satellite, report.boot_id):
            return actions
        pending = self._pending
        if pending is not None and report.readiness is Readiness.REFUSED:
            if report.about == (pending.epoch, pending.plan_hash):
                # Not at once: whoever refuses now may well refuse the next one too.
                self._want(f"{report.satellite} refuses: {report.reason}", forced=True)
        return [*actions, *self._consider(now_s)]

    def on_proposal_seen(self, plan: Plan, now_s: float) -> list[Action]:
        """Someone has proposed a plan; of its own ones a planner learns nothing."""
        self._highest = max(self._highest, plan.epoch)
        if plan.planner_id != self._planner_id and plan.planner_id < self._planner_id:
            self._yield_until_s = now_s + self._limits.yield_s
        return []

    def on_active(self, plan: Plan, now_s: float) -> list[Action]:
        """Sensing has committed a plan."""
        self._highest = max(self._highest, plan.epoch)
        if self._active is not None and plan.epoch <= self._active.epoch:
            return []
        self._active = plan
        if self._pending is not None and self._pending.epoch <= plan.epoch:
            self._pending = None
        if self._pending is None:
            self._reason, self._forced = "", False
        return self._consider(now_s)

    def on_replan(self, reason: str, now_s: float) -> list[Action]:
        """An operator, or a measured cost, asks for a new plan."""
        self._want(reason, forced=True)
        self._pending, self._yield_until_s = None, float("-inf")
        return self._consider(now_s)

    def on_tick(self, now_s: float) -> list[Action]:
        """Time passes; at least once a heartbeat period."""
        self._liveness.on_tick(now_s)
        return self._consider(now_s)

    @property
    def alive(self) -> tuple[str, ...]:
        """Satellites to plan with, in the order of the constellation."""
        usable = self._liveness.in_state(Life.ALIVE, Life.SUSPECT)
        return tuple(name for name in self._known if name in usable)

    # What follows

    def _want(self, reason: str, *, forced: bool) -> None:
        self._reason = self._reason or reason
        self._forced = self._forced or forced

    def _consider(self, now_s: float) -> list[Action]:
        if self._started_s is None or now_s < self._yield_until_s:
            return []
        unheard = self._liveness.in_state(Life.UNHEARD)
        if unheard and now_s - self._started_s < self._limits.start_s:
            return []
        alive = self.alive
        if self._active is not None and (missing := self._active.members - set(alive)):
            # Judged anew each time: a planner that starts late never saw them die.
            self._want(f"active plan needs {', '.join(sorted(missing))}", forced=False)
        if not self._reason:
            return []
        pending = self._pending
        if pending is not None and now_s - self._proposed_s < self._limits.retry_s:
            # What is pending may still be committed, unless it can never be.
            if pending.members <= set(alive) and pending.epoch >= self._highest:
                return []
        draft = self._split(alive)
        self.infeasible = draft is None
        if draft is None:
            return []
        if not self._forced and pending is None and self._active is not None and _alike(draft, self._active):
            self._reason = ""
            return []
        return self._propose(draft, now_s)

    def _propose(self, draft: Plan, now_s: float) -> list[Action]:
        actions: list[Action] = []
        if self._own == NO_EPOCH or self._own < self._highest:
            # Above all that was ever seen: an epoch is never used twice.
            self._own = Epoch(self._highest.incarnation + 1, 0)
            actions.append(PersistIncarnation(self._own.incarnation))
        self._own = Epoch(self._own.incarnation, self._own.counter + 1)
        self._highest = self._own
        plan = replace(draft, epoch=self._own, planner_id=self._planner_id).sealed()
        self._pending, self._proposed_s = plan, now_s
        return [*actions, Propose(plan, self._reason)]


def _alike(draft: Plan, plan: Plan) -> bool:
    return (draft.stages, draft.downlink) == (plan.stages, plan.downlink)
