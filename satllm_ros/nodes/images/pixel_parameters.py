"""The parameters of what is stated about pixels, as rules."""

from __future__ import annotations

from satllm_ros.acquisition.flight_pixels import pixels_in_flight
from satllm_ros.data.images.pixels import PixelRules, parse_bands
from satllm_ros.model.spec import ModelSpec
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.parameters import BANDS, PIXEL_SCALE, RESIZE

PIXEL_PARAMETERS = (BANDS, PIXEL_SCALE, RESIZE)


def rules_of(node: FlightNode, spec: ModelSpec) -> PixelRules:
    """Rules by which a node with `PIXEL_PARAMETERS` reads frames for a model.

    Raises
    ------
    PixelRulesError
        If a parameter is malformed, or contradicts the checkpoint.
    """
    bands, scale, resize = (node.value(parameter.name) for parameter in PIXEL_PARAMETERS)
    return pixels_in_flight(PixelRules(parse_bands(bands), scale or None, resize or None), spec)
