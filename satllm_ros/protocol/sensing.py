"""Sensing's part in the protocol: it commits plans, drains for them, and sends what is in its custody.

A pure state machine around `PlanCommitter`, `Custody` and `Liveness`. Every method takes the time [s, any steady
clock] and returns the actions to carry out, in this order.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from satllm_ros.protocol.custody import Custody, CustodyLimits, Place, State, Tally
from satllm_ros.protocol.identity import NO_EPOCH, BatchId, Epoch
from satllm_ros.protocol.membership.liveness import Change, Life, Liveness, LivenessLimits
from satllm_ros.protocol.membership.outages import Outages
from satllm_ros.protocol.plan import Plan, PlanError
from satllm_ros.protocol.plan_switch import PlanCommitter
from satllm_ros.protocol.signals import Ack, CustodyQuery, Report, SwitchState
from satllm_ros.protocol.vocabulary import NO_PLAN, Readiness, plan_key

Payload = TypeVar("Payload")


@dataclass(frozen=True)
class Persist:
    """Write the active plan durably before any action that follows; the next life is given it."""

    plan: Plan


@dataclass(frozen=True)
class Announce:
    """Publish the active plan on `plan_active` (latched)."""

    plan: Plan


@dataclass(frozen=True)
class PublishSwitchState:
    """Publish where sensing is between two plans on `switch_state` (latched)."""

    state: SwitchState


@dataclass(frozen=True)
class SendBatch(Generic[Payload]):
    """Send these tiles to the first satellite of the plan."""

    batch: BatchId
    payload: Payload
    plan: Plan
    low_water: Epoch


@dataclass(frozen=True)
class QueryStore:
    """Ask a store what became of batches."""

    query: CustodyQuery


Action = Persist | Announce | PublishSwitchState | SendBatch[Payload] | QueryStore


@dataclass(frozen=True)
class SensingLimits:
    """Bounds of custody, of liveness, and how long the stream may be paused for a drain."""

    custody: CustodyLimits
    liveness: LivenessLimits = LivenessLimits()
    drain_s: float = 30.0


class SensingProtocol(Generic[Payload]):
    """One life of the sensing node.

    Parameters
    ----------
    boot_id
        Drawn anew for each life.
    persisted
        The plan that an earlier life persisted last, if any.
    """

    def __init__(
        self,
        boot_id: int,
        limits: SensingLimits,
        *,
        model_id: str,
        blocks: int,
        known: Collection[str],
        persisted: Plan | None = None,
    ) -> None:
        self.boot_id = boot_id
        self._limits = limits
        self._committer = PlanCommitter(model_id=model_id, blocks=blocks, known=known)
        self._committer.active = persisted
        self.liveness = Liveness(known, limits.liveness)
        self._reports: dict[str, Report] = {}
        self._unconnected: frozenset[str] = frozenset()
        self._drain_s = limits.drain_s
        self._drain_since_s: float | None = None
        self.switch = SwitchState()
        self._ended_drains = 0
        self.outages = Outages()
        self.custody: Custody[Payload] = Custody(boot_id, limits.custody)

    def start(self, now_s: float) -> list[Action[Payload]]:
        """First actions of this life: what the last life announced died with it."""
        active = self._committer.active
        self.switch = state = SwitchState(low_water=active.epoch if active is not None else NO_EPOCH)
        return [PublishSwitchState(state), *([Announce(active)] if active is not None else []), *self._after(now_s)]

    # What is heard

    def on_proposal(self, plan: Plan, now_s: float) -> list[Action[Payload]]:
        """Take a proposal.

        Raises
        ------
        PlanError
            If it is malformed, withdrawn or older than what is held, or reuses an epoch for other content.
        """
        if plan.epoch <= self.switch.withdrawn:
            raise PlanError(f"plan {plan.epoch} was withdrawn, or is older than withdrawn plan {self.switch.withdrawn}")
        before = self._committer.proposal
        committed = self._committer.on_proposal(plan)
        actions: list[Action[Payload]] = []
        if before is not None and plan_key(before) != plan_key(plan) and self._drain_since_s is not None:
            # Whoever unloaded for the old proposal must hear that it did so in vain.
            actions = self._end_drain()
        return [*actions, *self._commit(committed), *self._after(now_s)]

    def on_report(self, report: Report, now_s: float) -> list[Action[Payload]]:
        """A satellite has published what it makes of the newest plan; also a sign of life."""
        self._note(self.liveness.on_sign(report.satellite, report.boot_id), now_s)
        if self.liveness.is_former(report.satellite, report.boot_id):
            return []
        self._reports[report.satellite] = report
        committed = self._committer.on_status(report.satellite, report.readiness, *report.about)
        return [*self._commit(committed), *self._after(now_s)]

    def on_hello(self, satellite: str, boot_id: int, now_s: float) -> list[Action[Payload]]:
        """A satellite that is ready, and whose work moves, has said hello."""
        change = self.liveness.on_sign(satellite, boot_id)
        if change is None:
            return []
        self._note(change, now_s)
        return self._after(now_s)

    def on_ack(self, ack: Ack, now_s: float) -> list[Action[Payload]]:
        """A satellite, a store or the ground says what became of a batch."""
        self.custody.on_ack(ack.batch, ack.verdict, ack.cause, now_s, ack.sender)
        return self._after(now_s)

    def on_connections(self, unconnected: Collection[str], now_s: float) -> list[Action[Payload]]:
        """These satellites would not hear what sensing sends: nothing is sent to a first stage among them."""
        if self._unconnected == frozenset(unconnected):
            return []
        self._unconnected = frozenset(unconnected)
        return self._after(now_s)

    def on_accepted(self, now_s: float) -> list[Action[Payload]]:
        """The source has put a new batch into `custody`."""
        return self._after(now_s)

    def on_tick(self, now_s: float) -> list[Action[Payload]]:
        """Time passes; at least once a period of hellos."""
        for change in self.liveness.on_tick(now_s):
            self._note(change, now_s)
        for store in self.liveness.in_state(Life.DEAD):
            # What it said of a batch just before it died may have arrived since.
            self.custody.on_store_lost(store, now_s)
        if self.active is not None and self.outages.stop(self.active, now_s):
            self.custody.on_outage(now_s)
        self.custody.on_tick(now_s)
        asks = [QueryStore(CustodyQuery(store, tuple(ids))) for store, ids in self.custody.queries(now_s).items()]
        drain = self._drain_since_s
        withdrawn = self._withdraw() if drain is not None and now_s - drain > self._drain_s else []
        return [*asks, *withdrawn, *self._after(now_s)]

    def set_minimum_stall(self, crossing_s: float, cycle_s: float) -> None:
        """Wait for the chain as long as its plan says it may take, where that is longer than the limits say.

        Parameters
        ----------
        crossing_s
            Time of the first batch through an empty chain [s].
        cycle_s
            Time between two batches at its end [s].
        """
        self.custody.set_minimum_stall(crossing_s)
        self._drain_s = max(self._limits.drain_s, crossing_s + self._limits.custody.window_batches * cycle_s)

    # What it says of itself

    @property
    def active(self) -> Plan | None:
        return self._committer.active

    @property
    def proposal(self) -> Plan | None:
        return self._committer.proposal

    @property
    def waiting_for(self) -> frozenset[str]:
        """Members that are not yet ready for the proposal."""
        return self._committer.waiting_for

    @property
    def unreported(self) -> list[str]:
        """Satellites that have not said yet what they can do."""
        return sorted(self.liveness.in_state(*Life) - self._reports.keys())

    @property
    def unready(self) -> dict[str, str]:
        """Members that are not yet ready for the proposal, and what each is doing instead."""
        proposal, found = self._committer.proposal, {}
        for name in sorted(self.waiting_for):
            report = self._reports.get(name)
            if self.liveness.life(name) is Life.DEAD:
                found[name] = "is dead"
            elif proposal is None or report is None or report.about != plan_key(proposal):
                found[name] = "has not answered it"
            elif report.readiness is Readiness.REFUSED:
                found[name] = f"refuses it: {report.reason}"
            else:
                found[name] = "is loading its blocks"
        return found

    @property
    def draining(self) -> bool:
        """Whether the stream is paused for members that cannot hold two sub-models."""
        return self._drain_since_s is not None

    @property
    def withdrawn_drains(self) -> int:
        """Drains that ended without their plan."""
        return self._ended_drains

    @property
    def obstacles(self) -> dict[str, str]:
        """Members of the active plan that keep the stream in custody, and why."""
        plan = self._committer.active
        if plan is None:
            return {}
        found = {}
        for name in sorted(plan.members):
            report = self._reports.get(name)
            if self.liveness.life(name) is Life.DEAD:
                found[name] = "dead"
            elif report is not None and plan_key(plan) not in report.serves:
                found[name] = "does not serve the active plan yet"
            elif name == plan.satellites[0] and name in self._unconnected:
                found[name] = "is not connected to sensing yet"
        return found

    def ledger(self) -> tuple[Tally, list[tuple[Place, str]]]:
        """Tiles by state, and every batch in custody with its place in words."""
        return self.custody.tally(), [(place, self._describe(place)) for place in self.custody.places()]

    def _describe(self, place: Place) -> str:
        if place.state is State.WAITING:
            return "in window"
        if place.state is State.IN_FLIGHT:
            return f"in flight after {place.where}" if place.where else "in flight from sensing"
        reachable = "down" if self.liveness.life(place.where) is Life.DEAD else "reachable"
        return f"stored at {place.where}, {reachable}"

    def _was_ahead(self, satellite: str, epoch: Epoch, where: str) -> bool:
        """Whether a batch in flight, last passed on by `where`, had yet to come past this satellite."""
        plan = self._committer.active
        if plan is None or plan.epoch != epoch or satellite == plan.downlink:
            # The ways of former plans are not known any more; and what was stored is not in flight.
            return True
        way = plan.satellites
        return satellite in way and (where not in way or way.index(where) < way.index(satellite))

    # What follows

    def _note(self, change: Change | None, now_s: float) -> None:
        if change is None:
            return
        if change.restarted or change.after is Life.DEAD:
            # Fresh reports only: what it had in memory may be gone.
            self._reports.pop(change.satellite, None)
            self._committer.forget(change.satellite)
            self.custody.on_way_lost(lambda epoch, where: self._was_ahead(change.satellite, epoch, where), now_s)
        if change.after is Life.DEAD:
            self.custody.on_store_lost(change.satellite, now_s)

    def _after(self, now_s: float) -> list[Action[Payload]]:
        """Whatever has happened: go on with the drain, and send what may be sent."""
        actions = self._go_on_draining(now_s)
        plan = self._committer.active
        if plan is None:
            return actions
        if self._drain_since_s is None and self.custody.waiting_batches and not self.obstacles:
            for send in self.custody.sendable(plan.epoch, now_s):
                low_water = self.custody.low_water(plan.epoch)
                actions.append(SendBatch(send.batch, send.payload, plan, low_water))
        low_water = self.custody.low_water(plan.epoch)
        if low_water > self.switch.low_water:
            # Told to all: satellites that the plan does not name see no batch that carries it.
            actions += self._tell(replace(self.switch, low_water=low_water))
        return actions

    def _go_on_draining(self, now_s: float) -> list[Action[Payload]]:
        proposal = self._committer.proposal
        if proposal is None:
            return []
        if self._drain_since_s is None and self._only_drain_is_missing(proposal):
            self._drain_since_s = now_s
        drained = self._drain_since_s is not None and self.custody.in_flight_batches == 0
        if drained and self.switch.drained != plan_key(proposal):
            return self._tell(replace(self.switch, drained=plan_key(proposal)))
        return []

    def _only_drain_is_missing(self, proposal: Plan) -> bool:
        missing = self._committer.waiting_for
        reports = [self._reports.get(name) for name in missing]
        return bool(missing) and all(
            report is not None and report.about == plan_key(proposal) and report.readiness is Readiness.NEEDS_DRAIN
            for report in reports
        )

    def _commit(self, plan: Plan | None) -> list[Action[Payload]]:
        if plan is None:
            return []
        self._drain_since_s = None
        return [Persist(plan), Announce(plan)]

    def _withdraw(self) -> list[Action[Payload]]:
        proposal = self._committer.proposal
        self._committer.withdraw()
        return self._end_drain(proposal.epoch if proposal is not None else NO_EPOCH)

    def _end_drain(self, withdrawn: Epoch = NO_EPOCH) -> list[Action[Payload]]:
        self._drain_since_s = None
        self._ended_drains += 1
        return self._tell(replace(self.switch, drained=NO_PLAN, withdrawn=max(withdrawn, self.switch.withdrawn)))

    def _tell(self, state: SwitchState) -> list[Action[Payload]]:
        if state == self.switch:
            return []
        self.switch = state
        return [PublishSwitchState(state)]
