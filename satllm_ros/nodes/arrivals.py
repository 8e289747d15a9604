"""Predictions as they come in, at a store and at the ground: checked, refused and counted in one place."""

from __future__ import annotations

from satllm_ros import msg as m
from satllm_ros.nodes import conversions as convert
from satllm_ros.nodes.base import FlightNode
from satllm_ros.runtime.custody import Cause
from satllm_ros.runtime.identity import Envelope
from satllm_ros.runtime.store import StoredTile


def accepted(
    node: FlightNode, message: m.Predictions, addressee: str, *, model_id: str | None = None, classes: int | None = None
) -> Envelope | None:
    """Envelope of predictions that may be kept; None for others, which are counted by cause and logged.

    Parameters
    ----------
    node
        Counts `received`, `refused_<cause>` and `misrouted`.
    addressee
        Who takes it; what is meant for somebody else is misrouted.
    model_id, classes
        Of the model that flies; None where nobody knows it.
    """
    node.counters.add("received")
    try:
        envelope = convert.envelope_from(message.envelope)
        convert.predictions_logits(message, envelope)
        if model_id is not None and envelope.model_id != model_id:
            raise convert.WireError(
                Cause.MALFORMED, f"{envelope.batch} is of model {envelope.model_id!r}; this flight's is {model_id!r}"
            )
        if classes is not None and message.classes != classes:
            raise convert.WireError(
                Cause.MALFORMED, f"{envelope.batch} has {message.classes} classes; this flight's model has {classes}"
            )
    except convert.WireError as error:
        node.counters.add(f"refused_{error.cause.name.lower()}")
        node.get_logger().warning(f"predictions refused: {error}", throttle_duration_sec=1.0)
        return None
    if envelope.destination != addressee:
        node.counters.add("misrouted")
        return None
    return envelope


def stored_tiles(message: m.Predictions, envelope: Envelope, now_s: float) -> list[StoredTile]:
    """A row per tile of an accepted message, written at `now_s` (ROS clock)."""
    acquired_s = convert.seconds(message.header.stamp)
    labels = zip(envelope.keys(), message.labels, strict=True)
    return [StoredTile(key, label, acquired_s, now_s) for key, label in labels]
