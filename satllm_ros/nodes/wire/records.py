"""From messages to the records of a run; numbers that no clock or satellite can mean are refused."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TypeVar

from satllm_ros import msg as m
from satllm_ros.acquisition.drop_causes import DROP_CAUSES, NEVER_SENT
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.plan import Plan
from satllm_ros.report.record.record import (
    FrameRecord,
    LinkRecord,
    PlanRecord,
    SatelliteRecord,
    StageRecord,
    TileRecord,
    TransferRecord,
)
from satllm_ros.report.record.sensing_sessions import SessionTotals
from satllm_ros.storage.frame_journal import Books, FrameRow
from satllm_ros.storage.prediction_store import StoredTile

Record = TypeVar("Record", LinkRecord, SatelliteRecord)

# Thirty years: longer than a steady clock has run anywhere.
MAX_STEADY_S = 1e9
# Different places that tiles can be at are a few per satellite.
MAX_PLACES = 100
MAX_CLOCK = 48
_CLOCK = re.compile(rf"[0-9A-Za-z-]{{0,{MAX_CLOCK}}}\Z")
# What is left of a duration that was made by subtraction may be a little below 0.
ROUNDING_S = 1e-3


def stage_record(message: m.BatchTiming) -> StageRecord:
    """Raises `ValueError` if the setting is unknown, it ran no block or no tile, or its times make no sense."""
    record = StageRecord(
        satellite=message.satellite,
        boot_id=message.batch.boot_id,
        sequence=message.batch.sequence,
        attempt=message.batch.attempt,
        epoch=(message.epoch.incarnation, message.epoch.counter),
        start=message.start,
        stop=message.stop,
        tiles=message.tiles,
        received_s=message.received_s,
        compute_start_s=message.compute_start_s,
        compute_stop_s=message.compute_stop_s,
        sent_s=message.sent_s,
        wait_s=message.wait_s,
        decode_s=message.decode_s,
        compute_s=message.compute_s,
        compute_real_s=message.compute_real_s,
        encode_s=message.encode_s,
        publish_s=message.publish_s,
        fp32_bytes=message.fp32_bytes,
        frame_bytes=message.frame_bytes,
        wire_bytes=message.wire_bytes,
        setting=str(convert.setting_from(message.setting)),
        clock=clock_of(message.clock),
    )
    if record.tiles < 1:
        raise ValueError("tiles is 0; at least 1 is needed")
    if record.stop <= record.start:
        raise ValueError(f"stop is {record.stop}; a block after start, which is {record.start}, is needed")
    _check_order(record, "received_s", "compute_start_s", "compute_stop_s", "sent_s")
    for name in ("wait_s", "decode_s", "compute_s", "compute_real_s", "encode_s", "publish_s"):
        if not -ROUNDING_S <= getattr(record, name) <= MAX_STEADY_S:
            raise ValueError(f"{name} is {getattr(record, name)}; allowed is 0 to {MAX_STEADY_S:g} s")
    return record


def transfer_record(message: m.LinkTransfer) -> TransferRecord:
    """Raises `ValueError` if its times make no sense."""
    record = TransferRecord(
        sender=message.sender,
        receiver=message.receiver,
        boot_id=message.batch.boot_id,
        sequence=message.batch.sequence,
        attempt=message.batch.attempt,
        wire_bytes=message.wire_bytes,
        start_s=message.start_s,
        stop_s=message.stop_s,
        clock=clock_of(message.clock),
    )
    _check_order(record, "start_s", "stop_s")
    return record


def clock_of(name: str) -> str:
    """Name of a steady clock as a message gives it; raises `ValueError` if it is none."""
    if not _CLOCK.match(name):
        raise ValueError(f"clock is {name[:50]!r}; allowed are up to {MAX_CLOCK} letters, digits and dashes")
    # One string for all the records that it is in.
    return sys.intern(name)


def link_record(message: m.LinkState) -> LinkRecord:
    """Raises `ValueError` if rate or delay is not finite."""
    return _finite(LinkRecord(message.sender, message.receiver, message.rate_bps, message.propagation_s))


def satellite_record(message: m.SatelliteStatus, before: SatelliteRecord | None = None) -> SatelliteRecord:
    """What a satellite says, and what it said `before` at first; raises `ValueError` if a time is not finite."""
    if before is not None:
        first_block_s = before.first_block_s
    else:
        first_block_s = message.block_s if message.start == message.stop and not message.emulated else None
    record = SatelliteRecord(
        name=message.satellite,
        memory_bytes=message.memory_bytes,
        memory_budget_bytes=message.memory_budget_bytes,
        block_s=message.block_s,
        block_real_s=message.block_real_s,
        emulated=message.emulated,
        first_block_s=first_block_s,
    )
    return _finite(record)


def plan_record(plan: Plan) -> PlanRecord:
    return PlanRecord(
        epoch=(plan.epoch.incarnation, plan.epoch.counter),
        plan_hash=plan.plan_hash,
        stages=tuple((s.satellite, s.start, s.stop, str(s.setting)) for s in plan.stages),
        downlink=plan.downlink,
        explanation=plan.explanation,
        predicted_exact_s=plan.predicted_makespan_s or None,
        predicted_paper_s=plan.predicted_paper_s or None,
    )


def tile_record(tile: StoredTile) -> TileRecord:
    return TileRecord(
        *tile.key,
        label=tile.label,
        acquired_s=tile.acquired_s,
        grounded_s=tile.written_s,
        copies=tile.copies,
        model_id=tile.model_id,
        epoch=(tile.epoch.incarnation, tile.epoch.counter),
        plan_hash=tile.plan_hash,
    )


def frame_record(row: FrameRow) -> FrameRecord:
    return FrameRecord(
        row.source_id,
        row.frame,
        row.name,
        row.height,
        row.width,
        row.tiles,
        row.stamp_ns,
        row.arrival_ns,
        row.cause,
    )


def account(message: m.Ledger) -> SessionTotals:
    """Books of the life of sensing that published a ledger."""
    before, after = _drops(dict(zip(message.causes, message.cause_counts, strict=False)))
    return SessionTotals(
        boot_id=message.boot_id,
        acquired=message.acquired_tiles,
        delivered=message.delivered_tiles,
        dropped_before=before,
        dropped_after=after,
        lost=message.lost_tiles,
        in_custody=dict(zip(message.places[:MAX_PLACES], message.place_tiles[:MAX_PLACES], strict=False)),
        unheard_frames=message.unheard_frames,
        ended=message.end_of_stream,
    )


def account_of_books(books: Books) -> SessionTotals:
    """The same, as that life wrote it to its journal."""
    before, after = _drops(books.causes)
    return SessionTotals(
        boot_id=books.boot_id,
        acquired=books.acquired_tiles,
        delivered=books.delivered_tiles,
        dropped_before=before,
        dropped_after=after,
        restored=books.restored_tiles,
        in_custody=dict(books.in_custody),
        unheard_frames=books.unheard_frames,
        ended=books.end_of_stream,
        closed=books.closed,
    )


def _drops(causes: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Tiles dropped before they were sent, and after, by cause; the other causes are of batches sent again."""
    before = {cause: causes[cause] for cause in NEVER_SENT if cause in causes}
    after = {cause: causes[cause] for cause in DROP_CAUSES if cause in causes and cause not in NEVER_SENT}
    return before, after


def _check_order(record: StageRecord | TransferRecord, *names: str) -> None:
    """Raises `ValueError` unless these readings of a steady clock follow one another."""
    earliest_s = 0.0
    for name in names:
        value_s = getattr(record, name)
        if not earliest_s <= value_s <= MAX_STEADY_S:
            raise ValueError(f"{name} is {value_s}; allowed is {earliest_s:g} to {MAX_STEADY_S:g} s")
        earliest_s = value_s


def _finite(record: Record) -> Record:
    for name, value in asdict(record).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} is {value}; a finite number is needed")
    return record
