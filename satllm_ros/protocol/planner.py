"""The planner's part in the protocol: when to propose, and under which epoch; a pure state machine.

What a good split is, others know: `split` is given the satellites that are alive. Any number of planners may run at
once, stale ones included: epochs order their plans, and sensing commits at most one of an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from satllm_ros.protocol.identity import NO_EPOCH, Epoch
from satllm_ros.protocol.membership.liveness import Life, Liveness, LivenessLimits
from satllm_ros.protocol.plan import MAX_EPOCH, Plan
from satllm_ros.protocol.signals import Report
from satllm_ros.protocol.vocabulary import Readiness

# Draft of a plan for these satellites, its epoch and hash yet to be filled in; None if none can hold the model.
Split = Callable[[tuple[str, ...]], Plan | None]
# Whether a draft is so much better than the plan that flies that moving to it pays.
Judge = Callable[[Plan, Plan], bool]

# An honest incarnation rises by one for each life of a planner. A report that claims more than this at once is not
# believed: anyone can claim the last epoch there is, and no plan could follow. Plans are believed; they can be signed.
EPOCH_JUMP = 1_000_000


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
        A satellite of which nothing was heard for so long after the start is planned around; and a plan that
        satellites serve is waited for so long, before a late planner proposes its own.
    retry_s
        A proposal that was not committed for so long is made again, under a new epoch.
    yield_s
        After a proposal of a planner that takes precedence, the others keep still for so long.
    starting_s
        The same as `start_s`, for a satellite that says hello, and no more yet.
    settle_s
        After a move, changed costs are not looked at for so long: measurements follow late, and each move costs.
    pause_s
        Least time between two proposals, unless an operator asks: whatever is reported, satellites can follow.
    """

    start_s: float = 10.0
    retry_s: float = 60.0
    yield_s: float = 120.0
    starting_s: float = 120.0
    settle_s: float = 5.0
    pause_s: float = 1.0
    liveness: LivenessLimits = LivenessLimits()


class PlannerProtocol:
    """One life of one planner.

    Parameters
    ----------
    persisted
        Highest incarnation that earlier lives persisted; 0 if none.
    judge
        Asked before a plan that could go on is left for a better one, unless an operator forces it.

    Attributes
    ----------
    infeasible
        The satellites that are alive cannot hold the model.
    exhausted
        The last epoch was taken: no plan can follow.
    """

    def __init__(
        self,
        planner_id: str,
        known: Collection[str],
        split: Split,
        limits: PlannerLimits,
        *,
        persisted: int = 0,
        judge: Judge = lambda draft, flying: True,
    ) -> None:
        self._planner_id = planner_id
        self._known = tuple(known)
        self._split = split
        self._judge = judge
        self._limits = limits
        self._liveness = Liveness(known, limits.liveness)
        self._highest = Epoch(persisted, 0)
        self._own = NO_EPOCH
        self.active: Plan | None = None
        self.pending: Plan | None = None
        self._refused = False
        self._starting: frozenset[str] = frozenset()
        self._proposed_s = float("-inf")
        self._moved_s = float("-inf")
        self._yield_until_s = float("-inf")
        self._started_s: float | None = None
        self._in_force = False
        self._reason = "first plan"
        self._forced = False
        self.infeasible = False
        self.exhausted = False

    def start(self, now_s: float) -> list[Action]:
        """Begin to listen; nothing is proposed before satellites had time to be heard."""
        self._started_s = now_s
        return []

    # What is heard

    def on_hello(self, satellite: str, boot_id: int, now_s: float) -> list[Action]:
        """A satellite that is ready, and whose work moves, has said hello."""
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
            self._believe(report.about[0])
        self._in_force = self._in_force or bool(report.serves)
        actions = self.on_hello(report.satellite, report.boot_id, now_s)
        if self._liveness.is_former(report.satellite, report.boot_id):
            return actions
        pending = self.pending
        if pending is not None and report.readiness is Readiness.REFUSED:
            if report.about == (pending.epoch, pending.plan_hash):
                self._refused = True
                # Not at once: whoever refuses now may well refuse the next one too.
                self._want(f"{report.satellite} refuses: {report.reason}", forced=True)
        return [*actions, *self._consider(now_s)]

    def on_proposal_seen(self, plan: Plan, now_s: float) -> list[Action]:
        """Someone has proposed a plan; of its own ones a planner learns nothing."""
        self._highest = max(self._highest, plan.epoch)
        # What flies already, or was overtaken by that, may be replayed for ever.
        is_open = self.active is None or plan.epoch > self.active.epoch
        if is_open and plan.planner_id < self._planner_id:
            self._yield_until_s = now_s + self._limits.yield_s
        return []

    def on_active(self, plan: Plan, now_s: float) -> list[Action]:
        """Sensing has committed a plan."""
        self._highest = max(self._highest, plan.epoch)
        if self.active is not None and plan.epoch <= self.active.epoch:
            return []
        self.active, self._moved_s = plan, now_s
        if self.pending is not None and self.pending.epoch <= plan.epoch:
            self.pending = None
        if self.pending is None:
            self._reason, self._forced = "", False
        return self._consider(now_s)

    def on_replan(self, reason: str, now_s: float) -> list[Action]:
        """An operator, or a measured cost, asks for a new plan."""
        self._want(reason, forced=True)
        self.pending, self._yield_until_s = None, float("-inf")
        return self._consider(now_s)

    def on_costs(self, reason: str, now_s: float) -> list[Action]:
        """Satellites or links are not what they were; the judge decides whether a new plan pays.

        While a proposal is under way, and a while after, this says nothing: to be called again as long as it is so.
        """
        if now_s - max(self._moved_s, self._proposed_s) < self._limits.settle_s:
            return []
        if self.pending is not None:
            if not self._refused:
                return []
            # The refusal may be what the new facts explain.
            self.pending, self._reason, self._forced = None, "", False
        self._want(reason, forced=False)
        return self._consider(now_s)

    def on_starting(self, satellites: Collection[str]) -> None:
        """These say hello; that they have not said more yet says little."""
        self._starting = frozenset(satellites)

    def on_tick(self, now_s: float) -> list[Action]:
        """Time passes; at least once a period of hellos."""
        self._liveness.on_tick(now_s)
        return self._consider(now_s)

    @property
    def alive(self) -> tuple[str, ...]:
        """Satellites to plan with, in the order of the constellation."""
        usable = self._liveness.in_state(Life.ALIVE, Life.SUSPECT)
        return tuple(name for name in self._known if name in usable)

    @property
    def unheard(self) -> tuple[str, ...]:
        """Satellites that have never been heard, in the order of the constellation."""
        silent = self._liveness.in_state(Life.UNHEARD)
        return tuple(name for name in self._known if name in silent)

    # What follows

    def _believe(self, claimed: Epoch) -> None:
        if claimed.incarnation <= self._highest.incarnation + EPOCH_JUMP:
            self._highest = max(self._highest, claimed)

    def _want(self, reason: str, *, forced: bool) -> None:
        self._reason = self._reason or reason
        self._forced = self._forced or forced

    def _consider(self, now_s: float) -> list[Action]:
        if self._started_s is None or now_s < self._yield_until_s:
            return []
        if self._waits_for_a_first_sign(now_s - self._started_s):
            return []
        alive = self.alive
        missing = self.active.members - set(alive) if self.active is not None else frozenset()
        if missing:
            # Judged anew each time: a planner that starts late never saw them die.
            self._want(f"active plan needs {', '.join(sorted(missing))}", forced=False)
        if not self._reason:
            return []
        pending = self.pending
        if pending is not None and now_s - self._proposed_s < self._limits.retry_s:
            # What is pending may still be committed, unless it can never be.
            if pending.members <= set(alive) and pending.epoch >= self._highest:
                return []
            if now_s - self._proposed_s < self._limits.pause_s and not self._forced:
                return []
        draft = self._split(alive)
        self.infeasible = draft is None
        if draft is None:
            return []
        if not self._forced and pending is None and self.active is not None and not missing:
            if not self._judge(draft, self.active) or _alike(draft, self.active):
                self._reason = ""
                return []
        return self._propose(draft, now_s)

    def _waits_for_a_first_sign(self, waited_s: float) -> bool:
        if self._in_force and self.active is None and not self._forced and waited_s < self._limits.start_s:
            # Satellites serve a plan of an earlier life: sensing says which, and going on may be best. An operator who
            # asks for a new one need not wait.
            return True
        if not self.unheard:
            return False
        if self._awaited() and waited_s < self._limits.starting_s:
            return True
        return waited_s < self._limits.start_s

    def _awaited(self) -> frozenset[str]:
        """Satellites that are starting and worth a wait: all for a first plan; else those of the plan in force, as when
        a run is gone on with, unless another one of it has died since.
        """
        starting = self._starting.intersection(self.unheard)
        if self.active is None:
            return starting
        if self.active.members.difference(self.unheard, self.alive):
            return frozenset()
        return starting & self.active.members

    def _propose(self, draft: Plan, now_s: float) -> list[Action]:
        actions: list[Action] = []
        if self._own == NO_EPOCH or self._own < self._highest:
            # Above all that was ever seen: an epoch is never used twice.
            if self._highest.incarnation >= MAX_EPOCH:
                self.exhausted = True
                return []
            self._own = Epoch(self._highest.incarnation + 1, 0)
            actions.append(PersistIncarnation(self._own.incarnation))
        self._own = Epoch(self._own.incarnation, self._own.counter + 1)
        self._highest = self._own
        plan = replace(draft, epoch=self._own, planner_id=self._planner_id).sealed()
        self.pending, self._proposed_s, self._refused = plan, now_s, False
        return [*actions, Propose(plan, self._reason)]


def _alike(draft: Plan, plan: Plan) -> bool:
    return (draft.stages, draft.downlink) == (plan.stages, plan.downlink)
