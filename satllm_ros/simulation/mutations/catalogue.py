"""Deliberate bugs in the protocol: a simulation that does not catch every one of them proves nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from satllm_ros.protocol.delivery import GroundProtocol, StoreProtocol
from satllm_ros.protocol.hop import HopSender
from satllm_ros.protocol.satellite import SatelliteProtocol
from satllm_ros.protocol.sensing import SensingProtocol
from satllm_ros.simulation.mutations import downlink, hops, membership, satellites, sensing
from satllm_ros.simulation.processes.ends import Ground
from satllm_ros.simulation.processes.process import Process
from satllm_ros.simulation.processes.satellite import Satellite
from satllm_ros.simulation.processes.sensing import Sensing
from satllm_ros.simulation.run import Outcome, Parts, simulate

SEEDS = 1000


@dataclass(frozen=True)
class Mutation:
    """One bug, in words and in code."""

    name: str
    sentence: str
    parts: Parts


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
    Mutation("hasty ground", "the ground acknowledges before it has written", _ground(downlink.HastyGround)),
    Mutation("hasty store", "a satellite acknowledges before it has stored", _store(downlink.HastyStore)),
    Mutation("silent ground", "duplicates are not acknowledged again", _ground(downlink.SilentGround)),
    Mutation(
        "forgetful store", "what is undelivered on disk is not sent after a restart", _store(downlink.ForgetfulStore)
    ),
    Mutation("hasty commit", "sensing commits when one member is not ready yet", _sensing(sensing.HastySensing)),
    Mutation("careless sensing", "sensing forgets a batch when it is stored", _sensing(sensing.CarelessSensing)),
    Mutation("deaf sensing", "a refused batch is not sent again", _sensing(sensing.DeafSensing)),
    Mutation("impatient drain", "drained is said with batches in flight", _sensing(sensing.ImpatientSensing)),
    Mutation("unwritten plan", "a new active plan is not persisted", Parts(sensing=sensing.UnwrittenSensing)),
    Mutation(
        "newest plan",
        "a satellite serves with the newest plan, not the batch's",
        _satellite(satellites.NewestPlanSatellite),
    ),
    Mutation("tidy satellite", "sub-models are dropped ignoring low water", _satellite(satellites.TidySatellite)),
    Mutation("eager satellite", "ready is said when the loading begins", _satellite(satellites.EagerSatellite)),
    Mutation(
        "greedy satellite", "sub-models are loaded beyond the memory budget", _satellite(satellites.GreedySatellite)
    ),
    Mutation("identity by stamp", "an image is called by its stamp", Parts(sensing=sensing.StampSensing)),
    Mutation(
        "identity by place",
        "an image is called by its place in a list sorted anew",
        Parts(sensing=sensing.PlaceSensing),
    ),
    Mutation("renaming sensing", "restored tiles are given this life's source", Parts(sensing=sensing.RenamingSensing)),
    Mutation("model-blind ground", "the ground writes what another model made", _ground(downlink.ModelBlindGround)),
    Mutation("run-blind ground", "the ground writes what was made in another run", _ground(downlink.RunBlindGround)),
    Mutation("mute ground", "the ground refuses without a word", _ground(downlink.MuteGround)),
    Mutation("stubborn store", "a store sends on what the ground refused", _store(downlink.StubbornStore)),
    Mutation("relapsing store", "a store forgets at a restart what it had set aside", _store(downlink.RelapsingStore)),
    Mutation("one-eared contact", "contact from one direction only", Parts(presence=membership.OneEaredPresence)),
    Mutation(
        "faithful contact", "contact goes on when the ground falls silent", Parts(presence=membership.FaithfulPresence)
    ),
    Mutation(
        "lost name",
        "a ground whose lease ran out is never known again",
        Parts(presence=membership.GraphBelievingPresence),
    ),
    Mutation(
        "glossing sensing", "what the ground refused is not counted as dropped", _sensing(sensing.GlossingSensing)
    ),
    Mutation("trusting sensing", "a dead store's batches are not sent again", _sensing(sensing.TrustingSensing)),
    Mutation(
        "faithful sensing", "what was under way to a dead satellite is not noticed", _sensing(sensing.FaithfulSensing)
    ),
    Mutation("blithesome sensing", "an overtaken batch is not noticed", _sensing(sensing.BlithesomeSensing)),
    Mutation("patient sensing", "a chain that stands still is not noticed", _sensing(sensing.PatientSensing)),
    Mutation("incurious sensing", "a store is not asked what became of a batch", _sensing(sensing.IncuriousSensing)),
    Mutation("once-only store", "what was lost on its way down is not sent again", _store(downlink.OnceOnlyStore)),
    Mutation(
        "credulous satellite",
        "a low water above the batch's own epoch is believed",
        _satellite(satellites.CredulousSatellite),
    ),
    Mutation(
        "half-credulous satellite",
        "a low water above the batch's own epoch is believed as far as that epoch",
        _satellite(satellites.HalfCredulousSatellite),
    ),
    Mutation("tireless hop", "a hop never gives up", _hop(hops.TirelessHop)),
    Mutation("forgetful hop", "a hop does not let go of what has arrived", _hop(hops.ForgetfulHop)),
    Mutation("hoarding hop", "a hop keeps copies without bound", _hop(hops.HoardingHop)),
)


def first_catch(mutation: Mutation, seeds: Iterable[int]) -> Outcome | None:
    """The first run that notices the bug; None if none does."""
    for seed in seeds:
        outcome = simulate(seed, parts=mutation.parts)
        if outcome.broken:
            return outcome
    return None
