"""Parameters of the planner node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from satllm_ros.links.link_pairs import parsed, with_unnamed_ends
from satllm_ros.model.spec import ModelSpec
from satllm_ros.nodes.base.parameters import (
    ARTEFACTS,
    BATCH_TILES,
    CHECKPOINT,
    KINDS,
    LINK_PAIRS,
    PLAN_PUBLIC_KEY,
    SATELLITES,
    STATE_DIRECTORY,
    Parameter,
)
from satllm_ros.planning.problem.problem import Link, Setting
from satllm_ros.replanning.flight import FlightFacts, LinkFacts

PARAMETERS = (
    CHECKPOINT,
    ARTEFACTS,
    SATELLITES,
    BATCH_TILES,
    PLAN_PUBLIC_KEY,
    STATE_DIRECTORY,
    Parameter("signing_key", "", "File of the private key that signs plans (PEM); empty: they are not signed"),
    Parameter("codecs", ["int8", "raw"], "Codec settings the planner may choose from"),
    Parameter(
        "profiles", [], "Files of `satllm profile`, as satellite=file; the speed of others is all that they report"
    ),
    Parameter(
        "calibration",
        "",
        "File of `satllm calibrate`: accuracy, ratios and losses of the codec settings; empty: those of the artefacts",
    ),
    Parameter("threads", 1, "Threads of one inference, for which times are looked up in profiles", "-", 1, 256),
    Parameter("accuracy_floor", 0.0, "Least accuracy that a codec setting may have", "share", 0.0, 1.0),
    Parameter("batches", 64, "Batches B to plan for when sensing does not know how many will come", "batch", 1),
    Parameter(
        "start_s",
        10.0,
        "A satellite that is silent for so long after the start is planned around",
        "s",
        0.0,
        3600.0,
    ),
    Parameter(
        "load_rate_bps",
        8e8,
        "Rate at which a satellite is assumed to load parameters before any load was measured",
        "bit/s",
        1.0,
        1e15,
    ),
    Parameter(
        "real_links",
        False,
        "Links are real: batches leave through flow controllers, below the rates that are given here",
    ),
    *(
        parameter
        for kind, what in KINDS.items()
        for parameter in (
            Parameter(f"{kind}_rate_bps", 5e8, f"Rate of {what} before any measurement", "bit/s", 1.0, 1e15),
            Parameter(f"{kind}_propagation_s", 0.0, f"Propagation delay of {what}", "s", 0.0, 60.0),
        )
    ),
    replace(LINK_PAIRS, read_only=True),
)


def facts_beforehand(value: Callable[[str], Any], spec: ModelSpec, settings: Sequence[Setting]) -> FlightFacts:
    """What parameters and files say before anything is heard; there are no satellites yet.

    Parameters
    ----------
    value
        Gives the value of a parameter by name.

    Raises
    ------
    ValueError
        If the rates of a single link make no sense.
    """
    upload, isl, s2g = (
        Link(value(f"{kind}_rate_bps"), value(f"{kind}_propagation_s")) for kind in ("upload", "isl", "s2g")
    )
    pairs = parsed(value(LINK_PAIRS.name), value("satellites"))
    stated = {pair: Link(rates.rate_bps, rates.propagation_s) for pair, rates in pairs.items()}
    return FlightFacts(
        spec=spec,
        batches=value("batches"),
        batch_tiles=value("batch_tiles"),
        upload_tile_bytes=0.0,
        satellites=[],
        links=LinkFacts(upload, isl, s2g, stated=with_unnamed_ends(stated)),
        settings=settings,
        accuracy_floor=value("accuracy_floor"),
        real_links=value("real_links"),
    )
