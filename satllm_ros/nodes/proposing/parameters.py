"""Parameters of the planner node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from satllm_ros.interfaces import MAX_THREADS
from satllm_ros.links.link_pairs import MAX_PROPAGATION_S, MAX_RATE_BPS, parsed, with_unnamed_ends
from satllm_ros.model.spec import ModelSpec
from satllm_ros.nodes.base.parameters import parameter
from satllm_ros.nodes.base.shared_parameters import (
    KINDS_OF_LINKS,
    LINK_PAIRS_MEANING,
    BatchParameters,
    CodecParameters,
    FleetParameters,
    ModelParameters,
    PlanParameters,
    StateParameters,
)
from satllm_ros.planning.problem.problem import Link, Setting
from satllm_ros.replanning.flight import FlightFacts, LinkFacts


def _rate(kind: str) -> float:
    return parameter(5e8, f"Rate of {KINDS_OF_LINKS[kind]} before any measurement", "bit/s", 1.0, MAX_RATE_BPS)


def _propagation(kind: str) -> float:
    return parameter(0.0, f"Propagation delay of {KINDS_OF_LINKS[kind]}", "s", 0.0, MAX_PROPAGATION_S)


@dataclass(frozen=True)
class PlannerParameters(
    StateParameters, PlanParameters, BatchParameters, FleetParameters, CodecParameters, ModelParameters
):
    """What the planner is told."""

    signing_key: str = parameter("", "File of the private key that signs plans (PEM); empty: they are not signed")
    codecs: tuple[str, ...] = parameter(("int8", "raw"), "Codec settings the planner may choose from")
    profiles: tuple[str, ...] = parameter(
        (), "Files of `satllm profile`, as satellite=file; the speed of others is all that they report"
    )
    calibration: str = parameter(
        "",
        "File of `satllm calibrate`: accuracy, ratios and losses of the codec settings; empty: those of the artefacts",
    )
    threads: int = parameter(
        1, "Threads of one inference, for which times are looked up in profiles", "-", 1, MAX_THREADS
    )
    accuracy_floor: float = parameter(0.0, "Least accuracy that a codec setting may have", "share", 0.0, 1.0)
    batches: int = parameter(64, "Batches B to plan for when sensing does not know how many will come", "batch", 1)
    start_s: float = parameter(
        10.0, "A satellite that is silent for so long after the start is planned around", "s", 0.0, 3600.0
    )
    load_rate_bps: float = parameter(
        8e8,
        "Rate at which a satellite is assumed to load parameters before any load was measured",
        "bit/s",
        1.0,
        MAX_RATE_BPS,
    )
    real_links: bool = parameter(
        False, "Links are real: batches leave through flow controllers, below the rates that are given here"
    )
    upload_rate_bps: float = _rate("upload")
    upload_propagation_s: float = _propagation("upload")
    isl_rate_bps: float = _rate("isl")
    isl_propagation_s: float = _propagation("isl")
    s2g_rate_bps: float = _rate("s2g")
    s2g_propagation_s: float = _propagation("s2g")
    link_pairs: tuple[str, ...] = parameter((), LINK_PAIRS_MEANING)

    def complaint(self) -> str | None:
        """Links that are none."""
        parsed(self.link_pairs, self.satellites)
        return None


def facts_beforehand(given: PlannerParameters, spec: ModelSpec, settings: Sequence[Setting]) -> FlightFacts:
    """What parameters and files say before anything is heard; there are no satellites yet.

    Raises
    ------
    ValueError
        If the rates of a single link make no sense.
    """
    pairs = parsed(given.link_pairs, given.satellites)
    stated = {pair: Link(rates.rate_bps, rates.propagation_s) for pair, rates in pairs.items()}
    return FlightFacts(
        spec=spec,
        batches=given.batches,
        batch_tiles=given.batch_tiles,
        upload_tile_bytes=0.0,
        satellites=[],
        links=LinkFacts(
            Link(given.upload_rate_bps, given.upload_propagation_s),
            Link(given.isl_rate_bps, given.isl_propagation_s),
            Link(given.s2g_rate_bps, given.s2g_propagation_s),
            stated=with_unnamed_ends(stated),
        ),
        settings=settings,
        accuracy_floor=given.accuracy_floor,
        real_links=given.real_links,
    )
