"""Parameters of the recorder node."""

from __future__ import annotations

from dataclasses import dataclass

from satllm_ros.nodes.base.parameters import parameter
from satllm_ros.nodes.base.shared_parameters import (
    BatchParameters,
    FleetParameters,
    ModelParameters,
    PlanParameters,
    SourceParameters,
)
from satllm_ros.report.figures.sample import ALL, DEFAULT


@dataclass(frozen=True)
class RecorderParameters(SourceParameters, PlanParameters, BatchParameters, FleetParameters, ModelParameters):
    """What the recorder is told."""

    run_directory: str = parameter("", "Folder the report is written to; empty: the working directory")
    reference: int = parameter(
        DEFAULT,
        "On how many of the tiles that came down the unsplit, uncompressed model is run for comparison, evenly over"
        " all; 0: none, -1: all",
        "tile",
        ALL,
        2**31 - 1,
    )
    exit_when_done: bool = parameter(
        False, "End the process once a bag or folder is through, with 1 if a tile is missing"
    )
