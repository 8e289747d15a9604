"""The ledger as a message: where every tile is that sensing answers for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from satllm_ros import msg as m
from satllm_ros.acquisition.drop_causes import DROP_CAUSES
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.sensing import SensingProtocol
from satllm_ros.protocol.vocabulary import Cause
from satllm_ros.storage.frame_journal import Books

if TYPE_CHECKING:
    from satllm_ros.nodes.images.image_source import ImageSource


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
        expected_batches=-(-counts.expected_tiles // batch_tiles),
        tile_bytes=counts.tile_bytes,
        places=[name for name, tiles in places.items() if tiles],
        place_tiles=[tiles for tiles in places.values() if tiles],
        causes=list(causes),
        cause_counts=list(causes.values()),
    )
    if plan is not None:
        message.epoch, message.plan_hash = convert.epoch_to(plan.epoch), plan.plan_hash
    return message


def check_ledger(message: m.Ledger) -> None:
    """Raises `WireError` unless every tile that was acquired is in one place."""
    parts = message.waiting_tiles + message.in_flight_tiles + message.stored_tiles
    parts += message.delivered_tiles + message.dropped_tiles
    if message.acquired_tiles != parts:
        raise convert.WireError(
            Cause.MALFORMED, f"ledger of {message.acquired_tiles} tiles acquired, of which the parts add up to {parts}"
        )


def books_of(message: m.Ledger, *, frames_total: int | None, closed: bool, restored_tiles: int) -> Books:
    """The same as books for the journal; of its causes only those by which tiles were dropped."""
    causes = dict(zip(message.causes, message.cause_counts, strict=True))
    return Books(
        boot_id=message.boot_id,
        acquired_tiles=message.acquired_tiles,
        delivered_tiles=message.delivered_tiles,
        restored_tiles=restored_tiles,
        in_custody=dict(zip(message.places, message.place_tiles, strict=True)),
        causes={cause: tiles for cause, tiles in causes.items() if cause in DROP_CAUSES},
        unheard_frames=message.unheard_frames,
        frames_total=frames_total,
        end_of_stream=message.end_of_stream,
        closed=closed,
    )
