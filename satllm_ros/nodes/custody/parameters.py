"""Parameters of the sensing node."""

from __future__ import annotations

from dataclasses import dataclass

from satllm_ros.interfaces import MAX_CREDITS, UPLOAD_ENCODINGS
from satllm_ros.nodes.base.parameters import parameter
from satllm_ros.nodes.base.shared_parameters import FleetParameters, ModelParameters, PlanParameters, SendingParameters
from satllm_ros.nodes.images.parameters import IntakeParameters


@dataclass(frozen=True)
class SensingParameters(IntakeParameters, PlanParameters, SendingParameters, FleetParameters, ModelParameters):
    """What sensing is told."""

    upload_encoding: str = parameter("jpeg", "How tiles travel to the first satellite", choices=UPLOAD_ENCODINGS)
    window_batches: int = parameter(6, "Batches W in flight, sent and not yet stored", "batch", 1, MAX_CREDITS)
    copies_batches: int = parameter(
        512, "Batches kept until the ground has them; when full, a bag waits, a camera drops", "batch", 1
    )
    durable: bool = parameter(False, "Keep a camera's batches on disk too, so that they outlive this process")
    stall_s: float = parameter(
        20.0, "With no acknowledgement for so long, the oldest batch is sent again", "s", 0.1, 86400.0
    )
    delivery_s: float = parameter(
        60.0, "With no delivery and no word from its store for so long, a stored batch is sent again", "s", 1.0, 86400.0
    )
    drain_s: float = parameter(
        30.0, "The stream is paused no longer than this for a plan that needs memory", "s", 1.0, 3600.0
    )
