"""Parameters of the planner node."""

from __future__ import annotations

from satllm_ros.nodes.links import KINDS
from satllm_ros.nodes.parameters import (
    ARTEFACTS,
    BATCH_TILES,
    CHECKPOINT,
    PLAN_PUBLIC_KEY,
    SATELLITES,
    STATE_DIRECTORY,
    Parameter,
)

PARAMETERS = (
    CHECKPOINT,
    ARTEFACTS,
    SATELLITES,
    BATCH_TILES,
    PLAN_PUBLIC_KEY,
    STATE_DIRECTORY,
    Parameter("signing_key", "", "File of the private key that signs plans (PEM); empty: they are not signed"),
    Parameter("codecs", ["int8", "raw"], "Codec settings the planner may choose from"),
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
    *(
        parameter
        for kind, what in KINDS.items()
        for parameter in (
            Parameter(f"{kind}_rate_bps", 5e8, f"Rate of {what} before any measurement", "bit/s", 1.0, 1e15),
            Parameter(f"{kind}_propagation_s", 0.0, f"Propagation delay of {what}", "s", 0.0, 60.0),
        )
    ),
)
