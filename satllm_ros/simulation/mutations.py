"""Deliberate bugs in the protocol: a simulation that does not catch every one of them proves nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from satllm_ros.runtime.custody import Cause, State, Verdict
from satllm_ros.runtime.delivery import Acknowledge, GroundProtocol, StoreProtocol, Write
from satllm_ros.runtime.identity import BatchId, Envelope
from satllm_ros.runtime.plan import Plan
from satllm_ros.runtime.plan_switch import PlanCommitter, Readiness
from satllm_ros.runtime.satellite_protocol import SatelliteProtocol, Serve, plan_key
from satllm_ros.runtime.sensing_protocol import Persist, SensingProtocol
from satllm_ros.runtime.signals import Ack
from satllm_ros.simulation.end_processes import Ground
from satllm_ros.simulation.process import Process
from satllm_ros.simulation.run import Outcome, Parts, simulate
from satllm_ros.simulation.satellite_process import Satellite
from satllm_ros.simulation.sensing_process import Sensing

SEEDS = 1000


@dataclass(frozen=True)
class Mutation:
    """One bug, in words and in code."""

    name: str
    sentence: str
    parts: Parts


# At the ends of the downlink


class _HastyGround(GroundProtocol):
    def on_predictions(self, batch: BatchId, payload: Any) -> list[Any]:
        return [*self.on_written(batch), Write(batch, payload)]


class _HastyStore(StoreProtocol):
    def on_predictions(self, batch: BatchId, payload: Any, now_s: float) -> list[Any]:
        return [
            Acknowledge(Ack(batch, self._satellite, Verdict.STORED)),
            *super().on_predictions(batch, payload, now_s),
        ]


class _SilentGround(GroundProtocol):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._known: set[BatchId] = set()

    def on_written(self, batch: BatchId) -> list[Any]:
        if batch in self._known:
            return []
        self._known.add(batch)
        return super().on_written(batch)


class _ForgetfulStore(StoreProtocol):
    def __init__(self, satellite: str, *, restored: Iterable[Any] = (), **limits: Any) -> None:
        # What is on disk is taken for delivered.
        super().__init__(satellite, **limits)
        self._delivered = dict.fromkeys((found.batch.boot_id, found.batch.sequence) for found in restored)


# In sensing


class _HastyCommitter(PlanCommitter):
    @property
    def waiting_for(self) -> frozenset[str]:
        missing = super().waiting_for
        return missing if len(missing) > 1 else frozenset()


class _HastySensing(SensingProtocol):
    def __init__(self, *arguments: Any, **known: Any) -> None:
        super().__init__(*arguments, **known)
        committer = _HastyCommitter.__new__(_HastyCommitter)
        committer.__dict__ = self._committer.__dict__
        self._committer = committer


class _CarelessSensing(SensingProtocol):
    def on_ack(self, ack: Ack, now_s: float) -> list[Any]:
        if ack.verdict is Verdict.STORED:
            # Stored once is taken for delivered.
            ack = Ack(ack.batch, ack.sender, Verdict.DELIVERED)
        return super().on_ack(ack, now_s)


class _DeafSensing(SensingProtocol):
    def on_ack(self, ack: Ack, now_s: float) -> list[Any]:
        held = self.custody._held.get(ack.batch.sequence)
        if ack.cause is Cause.UNKNOWN_EPOCH and held is not None and held.state is State.IN_FLIGHT:
            # Refused, and never sent again.
            held.not_before_s, held.state = float("inf"), State.WAITING
            return []
        return super().on_ack(ack, now_s)


class _ImpatientSensing(SensingProtocol):
    def _go_on_draining(self, now_s: float) -> list[Any]:
        # "Drained" is said as soon as the stream is paused.
        proposal = self._committer.proposal
        actions = super()._go_on_draining(now_s)
        if proposal is not None and self.draining:
            actions += self._tell(drained=plan_key(proposal))
        return actions


class _UnwrittenSensing(Sensing):
    def _carry_out(self, host: Any, actions: Any) -> None:
        before = self.disk.get("plan")
        super()._carry_out(host, actions)
        if any(isinstance(action, Persist) for action in actions) and before is not None:
            self.disk["plan"] = before


# In the satellites


class _NewestPlanSatellite(SatelliteProtocol):
    def on_batch(self, envelope: Envelope, cut: int) -> tuple[Any, list[Any]]:
        decision, actions = super().on_batch(envelope, cut)
        newest = max((p for p in self.plans if self._has(p)), key=lambda plan: plan.epoch, default=None)
        if isinstance(decision, Serve) and newest is not None:
            stage = newest.stage_of(self.satellite)
            if stage is not None and stage.start == cut:
                return Serve(newest, stage), actions
        return decision, actions


class _TidySatellite(SatelliteProtocol):
    def on_active(self, plan: Plan) -> list[Any]:
        # Old sub-models go as soon as a new plan is active, whatever is in flight.
        self._low_water = max(self._low_water, plan.epoch)
        return super().on_active(plan)


class _GreedySatellite(SatelliteProtocol):
    def fitting(self) -> set[tuple[int, int]]:
        return {blocks for blocks in self._wanted()}


class _EagerSatellite(SatelliteProtocol):
    def _readiness(self, plan: Plan) -> tuple[Readiness, str]:
        # Ready is said when the loading begins.
        readiness, reason = super()._readiness(plan)
        return (Readiness.READY, "") if readiness is Readiness.LOADING else (readiness, reason)


def _with(process: type[Process], machine: type, attribute: str = "machine") -> type[Any]:
    made = type(f"{machine.__name__}Process", (process,), {attribute: machine, "__module__": __name__})
    # The exploration pickles processes, by the names of their classes.
    globals()[made.__name__] = made
    return made


def _sensing(machine: type[SensingProtocol]) -> Parts:
    return Parts(sensing=_with(Sensing, machine))


def _satellite(machine: type[SatelliteProtocol]) -> Parts:
    return Parts(satellite=_with(Satellite, machine))


def _store(machine: type[StoreProtocol]) -> Parts:
    return Parts(satellite=_with(Satellite, machine, "store_machine"))


def _ground(machine: type[GroundProtocol]) -> Parts:
    return Parts(ground=_with(Ground, machine))


MUTATIONS = (
    Mutation("hasty ground", "the ground acknowledges before it has written", _ground(_HastyGround)),
    Mutation("hasty store", "a satellite acknowledges before it has stored", _store(_HastyStore)),
    Mutation("silent ground", "duplicates are not acknowledged again", _ground(_SilentGround)),
    Mutation("forgetful store", "what is undelivered on disk is not sent after a restart", _store(_ForgetfulStore)),
    Mutation("hasty commit", "sensing commits when one member is not ready yet", _sensing(_HastySensing)),
    Mutation("careless sensing", "sensing forgets a batch when it is stored", _sensing(_CarelessSensing)),
    Mutation("deaf sensing", "a refused batch is not sent again", _sensing(_DeafSensing)),
    Mutation("impatient drain", "drained is said with batches in flight", _sensing(_ImpatientSensing)),
    Mutation("unwritten plan", "a new active plan is not persisted", Parts(sensing=_UnwrittenSensing)),
    Mutation(
        "newest plan", "a satellite serves with the newest plan, not the batch's", _satellite(_NewestPlanSatellite)
    ),
    Mutation("tidy satellite", "sub-models are dropped ignoring low water", _satellite(_TidySatellite)),
    Mutation("eager satellite", "ready is said when the loading begins", _satellite(_EagerSatellite)),
    Mutation("greedy satellite", "sub-models are loaded beyond the memory budget", _satellite(_GreedySatellite)),
)


def first_catch(mutation: Mutation, seeds: Iterable[int]) -> Outcome | None:
    """The first run that notices the bug; None if none does."""
    for seed in seeds:
        outcome = simulate(seed, parts=mutation.parts)
        if outcome.broken:
            return outcome
    return None
