"""Predictions as they come in, at a store and at the ground: checked, refused and counted in one place."""

from __future__ import annotations

from collections.abc import Callable

from satllm_ros import msg as m
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.identity import BatchId, Envelope
from satllm_ros.protocol.vocabulary import Cause
from satllm_ros.storage.prediction_store import StoredTile


def accepted(
    node: FlightNode,
    message: m.Predictions,
    addressee: str,
    on_malformed: Callable[[BatchId], None] = lambda batch: None,
) -> Envelope | None:
    """Envelope of predictions that may be kept; None for others, which are counted by cause and logged.

    Parameters
    ----------
    node
        Counts `received`, `refused_<cause>` and `misrouted`.
    addressee
        Who takes it; what is meant for somebody else is misrouted.
    on_malformed
        Called for what arrived as it was sent, and still says nothing.
    """
    node.counters.add("received")
    envelope = None
    try:
        envelope = convert.envelope_from(message.envelope)
        if envelope.destination != addressee:
            node.counters.add("misrouted")
            return None
        convert.predictions_logits(message, envelope)
    except convert.WireError as error:
        node.ignore(f"refused_{error.cause.name.lower()}", f"predictions refused: {error}")
        if envelope is not None and error.cause is Cause.MALFORMED:
            on_malformed(envelope.batch)
        return None
    return envelope


def stored_tiles(message: m.Predictions, envelope: Envelope, now_s: float) -> list[StoredTile]:
    """A row per tile of an accepted message, written at `now_s` (ROS clock)."""
    acquired_s = convert.seconds(message.header.stamp)
    labels = zip(envelope.keys(), message.labels, strict=True)
    maker = (envelope.model_id, envelope.epoch, envelope.plan_hash)
    return [StoredTile(key, label, acquired_s, now_s, *maker) for key, label in labels]
