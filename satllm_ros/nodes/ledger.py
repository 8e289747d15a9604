"""The ledger as a message: where every tile is that sensing answers for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from satllm_ros import msg as m
from satllm_ros.nodes import conversions as convert
from satllm_ros.runtime.sensing_protocol import SensingProtocol

if TYPE_CHECKING:
    from satllm_ros.nodes.image_source import ImageSource


def ledger_message(
    protocol: SensingProtocol[Any], source: ImageSource, *, restored_tiles: int, lost_tiles: int, batch_tiles: int
) -> m.Ledger:
    """Ledger of this moment, without stamp and source.

    Parameters
    ----------
    restored_tiles
        Tiles that this life took up from the store of an earlier one.
    lost_tiles
        Tiles that died with earlier lives.
    """
    tally, described = protocol.ledger()
    places: Counter[str] = Counter()
    for place, words in described:
        places[words] += place.tiles
    counts = source.counts()
    places["in window"] += counts.waiting_tiles
    causes = counts.dropped + protocol.custody.causes
    plan = protocol.active
    message = m.Ledger(
        boot_id=protocol.boot_id,
        end_of_stream=counts.ended,
        acquired_tiles=counts.acquired_tiles + restored_tiles,
        waiting_tiles=tally.waiting + counts.waiting_tiles,
        in_flight_tiles=tally.in_flight,
        stored_tiles=tally.stored,
        delivered_tiles=tally.delivered,
        dropped_tiles=tally.dropped + counts.dropped.total(),
        lost_tiles=lost_tiles,
        sent_batches=tally.sent_batches,
        resent_batches=tally.resent_batches,
        expected_batches=-(-source.expected_tiles // batch_tiles),
        tile_bytes=counts.tile_bytes,
        places=[name for name, tiles in places.items() if tiles],
        place_tiles=[tiles for tiles in places.values() if tiles],
        causes=list(causes),
        cause_counts=list(causes.values()),
    )
    if plan is not None:
        message.epoch, message.plan_hash = convert.epoch_to(plan.epoch), plan.plan_hash
    return message
