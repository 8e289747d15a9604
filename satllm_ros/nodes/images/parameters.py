"""Parameters of who reads images, and what they state about pixels as rules."""

from __future__ import annotations

from dataclasses import dataclass

from satllm_ros.acquisition.flight_pixels import pixels_in_flight
from satllm_ros.data.images.pixels import PixelRules, parse_bands
from satllm_ros.interfaces import MAX_BAG_SPEED
from satllm_ros.model.spec import ModelSpec
from satllm_ros.nodes.base.parameters import parameter
from satllm_ros.nodes.base.shared_parameters import BatchParameters, SourceParameters, StateParameters


@dataclass(frozen=True)
class IntakeParameters(SourceParameters, StateParameters, BatchParameters):
    """How images become batches of tiles."""

    rate: float = parameter(
        0.0, "Speed of a bag against its recorded times; 0: as fast as the chain takes it", "-", 0.0, MAX_BAG_SPEED
    )
    expected_images: int = parameter(
        0,
        "Images that will be published on a camera's topic, as by a bag that is played; then the stream is over."
        " 0: nobody knows",
        "-",
        0,
    )
    camera_tiles: int = parameter(
        1024,
        "Tiles of a camera that may wait to be cut; beyond, the oldest images are dropped, whole",
        "tile",
        1,
    )
    flush_s: float = parameter(1.0, "A camera's incomplete batch is sent after so long", "s", 0.01, 3600.0)


def rules_of(given: SourceParameters, spec: ModelSpec) -> PixelRules:
    """Rules by which a node reads frames for a model.

    Raises
    ------
    PixelRulesError
        If a parameter is malformed, or contradicts the checkpoint.
    """
    return pixels_in_flight(PixelRules(parse_bands(given.bands), given.pixel_scale or None, given.resize or None), spec)
