"""Deliberate bugs in the protocol: a simulation that does not catch every one of them proves nothing."""

# long: a list of bugs, one after the other

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from satllm_ros.protocol.custody import Custody, State
from satllm_ros.protocol.delivery import Acknowledge, GroundProtocol, Origin, StoreProtocol, Write
from satllm_ros.protocol.hop import HopLimits, HopSender
from satllm_ros.protocol.identity import BatchId, Envelope, TileKey
from satllm_ros.protocol.membership.presence import Contact, Presence
from satllm_ros.protocol.plan import Plan
from satllm_ros.protocol.plan_switch import PlanCommitter
from satllm_ros.protocol.satellite import SatelliteProtocol, Serve
from satllm_ros.protocol.sensing import Persist, SensingProtocol
from satllm_ros.protocol.signals import Ack
from satllm_ros.protocol.vocabulary import Cause, Readiness, Verdict, plan_key
from satllm_ros.simulation.processes.ends import Ground
from satllm_ros.simulation.processes.images import Image
from satllm_ros.simulation.processes.messages import Tile
from satllm_ros.simulation.processes.process import Process
from satllm_ros.simulation.processes.satellite import Satellite
from satllm_ros.simulation.processes.sensing import Sensing
from satllm_ros.simulation.run import Outcome, Parts, simulate
from satllm_ros.simulation.world import LEASE_S

SEEDS = 1000


@dataclass(frozen=True)
class Mutation:
    """One bug, in words and in code."""

    name: str
    sentence: str
    parts: Parts


# At the ends of the downlink


class _HastyGround(GroundProtocol[Any]):
    def on_predictions(self, batch: BatchId, origin: Origin, payload: Any) -> list[Any]:
        return [*self.on_written(batch), Write(batch, payload)]


class _HastyStore(StoreProtocol[Any]):
    def on_predictions(self, batch: BatchId, payload: Any, now_s: float) -> list[Any]:
        return [
            Acknowledge(Ack(batch, self._satellite, Verdict.STORED)),
            *super().on_predictions(batch, payload, now_s),
        ]


class _SilentGround(GroundProtocol[Any]):
    def __init__(self, name: str, **known: Any) -> None:
        super().__init__(name, **known)
        self._known: set[BatchId] = set()

    def on_written(self, batch: BatchId) -> list[Any]:
        if batch in self._known:
            return []
        self._known.add(batch)
        return super().on_written(batch)


class _ForgetfulStore(StoreProtocol[Any]):
    def __init__(self, satellite: str, *, restored: Iterable[Any] = (), **limits: Any) -> None:
        # What is on disk is taken for delivered.
        super().__init__(satellite, **limits)
        self._delivered = dict.fromkeys((found.batch.boot_id, found.batch.sequence) for found in restored)


class _ModelBlindGround(GroundProtocol[Any]):
    def on_predictions(self, batch: BatchId, origin: Origin, payload: Any) -> list[Any]:
        return super().on_predictions(batch, replace(origin, model_id=self._model_id), payload)


class _RunBlindGround(GroundProtocol[Any]):
    def on_predictions(self, batch: BatchId, origin: Origin, payload: Any) -> list[Any]:
        return super().on_predictions(batch, replace(origin, run_id=self.run_id or 0), payload)


class _MuteGround(GroundProtocol[Any]):
    def _refuse(self, batch: BatchId, cause: Cause) -> list[Any]:
        # As it was before refusals were answered.
        return []


class _StubbornStore(StoreProtocol[Any]):
    def on_refused(self, batch: BatchId, cause: Cause, now_s: float) -> list[Any]:
        return []


class _RelapsingStore(StoreProtocol[Any]):
    def __init__(self, satellite: str, *, restored: Iterable[Any] = (), **limits: Any) -> None:
        # What was set aside is taken for undelivered by the next life.
        super().__init__(
            satellite,
            restored=[replace(found, refused=None) for found in restored],
            **limits,
        )


# In what is made of hellos


class _OneEaredPresence(Presence):
    def contact(self, name: str, now_s: float) -> Contact:
        # Whoever is heard is taken for one who hears.
        return replace(super().contact(name, now_s), hears_us=True)


class _FaithfulPresence(Presence):
    def contact(self, name: str, now_s: float) -> Contact:
        # Whoever was heard once is heard for ever.
        return replace(super().contact(name, now_s), is_heard=True)


class _GraphBelievingPresence(Presence):
    def __init__(self, *arguments: Any, **known: Any) -> None:
        super().__init__(*arguments, **known)
        self._lost: set[tuple[str, int]] = set()

    def contact(self, name: str, now_s: float) -> Contact:
        # As it was by names in the graph: whoever is found again after its lease has run out has lost its name.
        found = super().contact(name, now_s)
        if found.heard_age_s is not None and found.heard_age_s > LEASE_S:
            self._lost.add((name, found.boot_id))
        return replace(found, is_heard=False) if (name, found.boot_id) in self._lost else found


# In sensing


class _StampSensing(Sensing):
    def identify(self, image: Image, place: int) -> TileKey | None:
        key = super().identify(image, place)
        return key and key._replace(frame=image.stamp)


class _PlaceSensing(Sensing):
    def identify(self, image: Image, place: int) -> TileKey | None:
        key = super().identify(image, place)
        return key and (key._replace(frame=place + 1) if self.folder is not None else key)


class _RenamingSensing(Sensing):
    def restored(self, tiles: tuple[Tile, ...]) -> tuple[Tile, ...]:
        # What an earlier life heard is taken for this one's.
        source_id = self.identity.source_id
        return tuple(tile._replace(key=tile.key._replace(source_id=source_id)) for tile in tiles)


class _GlossingCustody(Custody[Any]):
    def _drop(self, sequence: int, held: Any, cause: str) -> None:
        self._tiles["delivered"] += held.tiles
        del self._held[sequence]


class _GlossingSensing(SensingProtocol[Any]):
    def __init__(self, *arguments: Any, **known: Any) -> None:
        super().__init__(*arguments, **known)
        # What the ground refused is not counted as dropped.
        self.custody = _GlossingCustody(self.boot_id, self._limits.custody)


class _HastyCommitter(PlanCommitter):
    @property
    def waiting_for(self) -> frozenset[str]:
        missing = super().waiting_for
        return missing if len(missing) > 1 else frozenset()


class _HastySensing(SensingProtocol[Any]):
    def __init__(self, *arguments: Any, **known: Any) -> None:
        super().__init__(*arguments, **known)
        committer = _HastyCommitter.__new__(_HastyCommitter)
        committer.__dict__ = self._committer.__dict__
        self._committer = committer


class _CarelessSensing(SensingProtocol[Any]):
    def on_ack(self, ack: Ack, now_s: float) -> list[Any]:
        if ack.verdict is Verdict.STORED:
            # Stored once is taken for delivered.
            ack = Ack(ack.batch, ack.sender, Verdict.DELIVERED)
        return super().on_ack(ack, now_s)


class _DeafSensing(SensingProtocol[Any]):
    def on_ack(self, ack: Ack, now_s: float) -> list[Any]:
        held = self.custody._held.get(ack.batch.sequence)
        if ack.cause is Cause.UNKNOWN_EPOCH and held is not None and held.state is State.IN_FLIGHT:
            # Refused, and never sent again.
            held.not_before_s, held.state = float("inf"), State.WAITING
            return []
        return super().on_ack(ack, now_s)


class _ImpatientSensing(SensingProtocol[Any]):
    def _go_on_draining(self, now_s: float) -> list[Any]:
        # "Drained" is said as soon as the stream is paused.
        proposal = self._committer.proposal
        actions = super()._go_on_draining(now_s)
        if proposal is not None and self.draining:
            actions += self._tell(replace(self.switch, drained=plan_key(proposal)))
        return actions


class _UnwrittenSensing(Sensing):
    def _carry_out(self, host: Any, actions: Any) -> None:
        before = self.disk.get("plan")
        super()._carry_out(host, actions)
        if any(isinstance(action, Persist) for action in actions) and before is not None:
            self.disk["plan"] = before


class _TrustingCustody(Custody[Any]):
    def on_store_lost(self, store: str, now_s: float) -> None:
        # What a dead store holds stays where it is.
        return


class _FaithfulCustody(Custody[Any]):
    def on_way_lost(self, is_lost: Any, now_s: float) -> None:
        # What was under way to the dead is still on its way.
        return


class _BlithesomeCustody(Custody[Any]):
    def on_ack(self, *arguments: Any, **named: Any) -> None:
        super().on_ack(*arguments, **named)
        # That later batches came sooner says nothing.
        for held in self._held.values():
            held.overtaken = 0


class _PatientCustody(Custody[Any]):
    def on_tick(self, now_s: float) -> None:
        # Silence is never a loss.
        self._last_progress_s = now_s
        super().on_tick(now_s)


class _IncuriousCustody(Custody[Any]):
    def queries(self, now_s: float) -> dict[str, list[BatchId]]:
        # Nobody is asked.
        return {}


class _SlackSensing(SensingProtocol[Any]):
    """Its custody does not notice something; slower ways round remain."""

    keeper: type[Custody[Any]]

    def __init__(self, *arguments: Any, **known: Any) -> None:
        super().__init__(*arguments, **known)
        self.custody = self.keeper(self.boot_id, self._limits.custody)


class _TrustingSensing(_SlackSensing):
    keeper = _TrustingCustody


class _FaithfulSensing(_SlackSensing):
    keeper = _FaithfulCustody


class _BlithesomeSensing(_SlackSensing):
    keeper = _BlithesomeCustody


class _PatientSensing(_SlackSensing):
    keeper = _PatientCustody


class _IncuriousSensing(_SlackSensing):
    keeper = _IncuriousCustody


# On the hops


class _TirelessHop(HopSender[Any]):
    def tick(self, now_s: float) -> list[Any]:
        # However often: it never gives up.
        for copy in self._copies.values():
            copy.resends = min(copy.resends, self.limits.resends - 1)
        return super().tick(now_s)


class _ForgetfulHop(HopSender[Any]):
    def receipt(self, receiver: str, batch: BatchId, wire_bytes: int, now_s: float) -> None:
        # The copy is kept although it has arrived.
        return


class _HoardingHop(HopSender[Any]):
    def __init__(self, limits: HopLimits) -> None:
        # Without a bound on the copies.
        super().__init__(replace(limits, copies=10**6))


# In the satellites


class _OnceOnlyStore(StoreProtocol[Any]):
    def on_tick(self, now_s: float) -> list[Any]:
        # What was lost on its way down is not sent again before the next contact.
        return self._send(now_s)


class _CredulousSatellite(SatelliteProtocol):
    def on_batch(self, envelope: Envelope, cut: int) -> tuple[Any, list[Any]]:
        # A low water above the batch's own epoch is believed.
        decision, actions = super().on_batch(envelope, cut)
        if isinstance(decision, Serve) and envelope.low_water > self._low_water:
            self._low_water = envelope.low_water
            actions += self._reconcile()
        return decision, actions


class _HalfCredulousSatellite(_CredulousSatellite):
    def on_batch(self, envelope: Envelope, cut: int) -> tuple[Any, list[Any]]:
        # It is believed as far as the batch's own epoch.
        return super().on_batch(replace(envelope, low_water=min(envelope.low_water, envelope.epoch)), cut)


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
    made = type(f"{machine.__name__}{process.__name__}", (process,), {attribute: machine, "__module__": __name__})
    # The exploration pickles processes, by the names of their classes.
    globals()[made.__name__] = made
    return made


def _sensing(machine: type[SensingProtocol[Any]]) -> Parts:
    return Parts(sensing=_with(Sensing, machine))


def _satellite(machine: type[SatelliteProtocol]) -> Parts:
    return Parts(satellite=_with(Satellite, machine))


def _store(machine: type[StoreProtocol[Any]]) -> Parts:
    return Parts(satellite=_with(Satellite, machine, "store_machine"))


def _ground(machine: type[GroundProtocol[Any]]) -> Parts:
    return Parts(ground=_with(Ground, machine))


def _hop(machine: type[HopSender[Any]]) -> Parts:
    return Parts(sensing=_with(Sensing, machine, "hop_machine"), satellite=_with(Satellite, machine, "hop_machine"))


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
    Mutation("identity by stamp", "an image is called by its stamp", Parts(sensing=_StampSensing)),
    Mutation(
        "identity by place", "an image is called by its place in a list sorted anew", Parts(sensing=_PlaceSensing)
    ),
    Mutation("renaming sensing", "restored tiles are given this life's source", Parts(sensing=_RenamingSensing)),
    Mutation("model-blind ground", "the ground writes what another model made", _ground(_ModelBlindGround)),
    Mutation("run-blind ground", "the ground writes what was made in another run", _ground(_RunBlindGround)),
    Mutation("mute ground", "the ground refuses without a word", _ground(_MuteGround)),
    Mutation("stubborn store", "a store sends on what the ground refused", _store(_StubbornStore)),
    Mutation("relapsing store", "a store forgets at a restart what it had set aside", _store(_RelapsingStore)),
    Mutation("one-eared contact", "contact from one direction only", Parts(presence=_OneEaredPresence)),
    Mutation("faithful contact", "contact goes on when the ground falls silent", Parts(presence=_FaithfulPresence)),
    Mutation("lost name", "a ground whose lease ran out is never known again", Parts(presence=_GraphBelievingPresence)),
    Mutation("glossing sensing", "what the ground refused is not counted as dropped", _sensing(_GlossingSensing)),
    Mutation("trusting sensing", "a dead store's batches are not sent again", _sensing(_TrustingSensing)),
    Mutation("faithful sensing", "what was under way to a dead satellite is not noticed", _sensing(_FaithfulSensing)),
    Mutation("blithesome sensing", "an overtaken batch is not noticed", _sensing(_BlithesomeSensing)),
    Mutation("patient sensing", "a chain that stands still is not noticed", _sensing(_PatientSensing)),
    Mutation("incurious sensing", "a store is not asked what became of a batch", _sensing(_IncuriousSensing)),
    Mutation("once-only store", "what was lost on its way down is not sent again", _store(_OnceOnlyStore)),
    Mutation(
        "credulous satellite", "a low water above the batch's own epoch is believed", _satellite(_CredulousSatellite)
    ),
    Mutation(
        "half-credulous satellite",
        "a low water above the batch's own epoch is believed as far as that epoch",
        _satellite(_HalfCredulousSatellite),
    ),
    Mutation("tireless hop", "a hop never gives up", _hop(_TirelessHop)),
    Mutation("forgetful hop", "a hop does not let go of what has arrived", _hop(_ForgetfulHop)),
    Mutation("hoarding hop", "a hop keeps copies without bound", _hop(_HoardingHop)),
)


def first_catch(mutation: Mutation, seeds: Iterable[int]) -> Outcome | None:
    """The first run that notices the bug; None if none does."""
    for seed in seeds:
        outcome = simulate(seed, parts=mutation.parts)
        if outcome.broken:
            return outcome
    return None
