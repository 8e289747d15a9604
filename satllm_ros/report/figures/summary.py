"""From the record of a run to its figures."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from satllm_ros.report.figures.crossings import Crossing, crossings
from satllm_ros.report.figures.figures import (
    AccuracyFigures,
    Delay,
    DroppedImage,
    HopFigures,
    Makespan,
    Summary,
    Throughput,
    Tiles,
    Traffic,
)
from satllm_ros.report.figures.flowline import ideal_makespan_s
from satllm_ros.report.figures.sample import wilson_interval
from satllm_ros.report.figures.satellites import satellite_uses
from satllm_ros.report.figures.tiles import Acquisitions, share_right, unique_tiles
from satllm_ros.report.record.clocks import MAX_DRIFT, Clocks
from satllm_ros.report.record.record import Key, RunRecord, TileRecord
from satllm_ros.report.record.sensing_sessions import LOST_WITH_SENSING

# Drops of tiles that had been sent; the record of an older version does not tell them from the others.
DROPPED_AFTER = ("attempts_exhausted", LOST_WITH_SENSING)
# Dropped images that a summary names; record/frames.jsonl has all.
NAMED_IMAGES = 100


def summarize(run: RunRecord) -> Summary:
    """Compute the figures of a run, complete or broken off; what is unknown is None, never a guess."""
    tiles = unique_tiles(run)
    received = len(tiles) + run.older_tiles
    delays_s = _delays_s(run, tiles)
    measured_s = None
    if delays_s and not run.older_tiles:
        last_s = max(t.grounded_s for t in tiles)
        measured_s = max(delay_s + (last_s - tile.grounded_s) for tile, delay_s in delays_s)
    ideal_s = None if run.gaps else ideal_makespan_s(run)
    messages = list(crossings(run))
    return Summary(
        tiles=Tiles(
            sent=run.sent_tiles,
            received=received,
            duplicates=sum(t.copies - 1 for t in tiles),
            lost=_lost(run, received),
            dropped=dict(run.dropped),
        ),
        in_custody=dict(run.in_custody),
        audit=run.audit,
        dropped_images=list(islice((DroppedImage(f.name, f.cause) for f in run.frames if f.cause), NAMED_IMAGES)),
        gaps=list(run.gaps),
        notes=[*run.notes, *_clock_notes(run)],
        acquisition=run.acquisition or None,
        acquisition_reason=run.acquisition_reason,
        accuracy=_accuracy(run, tiles),
        hops=_hops(messages),
        satellites=satellite_uses(run, None if run.gaps else measured_s),
        delay_s=_delay(run, [delay_s for _, delay_s in delays_s]),
        makespan_s=Makespan(measured_s, ideal_s, *_predictions(run)),
        throughput=Throughput(
            tiles_per_s=received / measured_s if measured_s else None,
            of_ideal=ideal_s / measured_s if measured_s and ideal_s is not None else None,
        ),
        traffic_bytes=_traffic(run, messages),
    )


def _lost(run: RunRecord, received: int) -> int:
    if run.audit is not None:
        return run.audit.lost
    elsewhere = sum(run.in_custody.values()) + sum(run.dropped.get(cause, 0) for cause in DROPPED_AFTER)
    return max(0, run.sent_tiles - received - elsewhere)


def _delays_s(run: RunRecord, tiles: list[TileRecord]) -> list[tuple[TileRecord, float]]:
    """Each tile whose acquisition and write at the ground are known on one clock, with the time between them [s]."""
    acquisitions = Acquisitions(run)
    delays = ((tile, acquisitions.delay_s(tile)) for tile in tiles)
    return [(tile, delay_s) for tile, delay_s in delays if delay_s is not None]


def _clock_notes(run: RunRecord) -> Iterator[str]:
    """What clocks of their own cost the figures."""
    clocks = Clocks(run)
    if run.acquisition_shift_s is None and run.tiles:
        yield "delays and makespan are left out: sensing and the ground have clocks of their own that nobody compared"
    elif uncertainty_s := _delay_uncertainty_s(run):
        yield (
            "sensing and the ground have clocks of their own: delays and makespan are known to within"
            f" {1000 * uncertainty_s:.3g} ms"
        )
    if clocks.strange and len(clocks.names) > 1:
        yield (
            f"of {len(clocks.names)} clocks that records are of, {len(clocks.strange)} were not compared with the"
            " others: in the timeline, each of these starts at its own first event"
        )
    elif clocks.uncertainty_s:
        yield (
            f"records are of {len(clocks.names)} clocks: in the timeline, times of one are known against those of"
            f" another to within {1000 * clocks.uncertainty_s:.3g} ms"
        )


def _accuracy(run: RunRecord, tiles: list[TileRecord]) -> AccuracyFigures:
    flown = {tile.key: tile.label for tile in tiles}
    compared = [key for key in flown if key in run.reference]
    agreeing = sum(flown[key] == run.reference[key] for key in compared)

    def against_truth(ours: dict[Key, int], keys: Iterable[Key]) -> float | None:
        return share_right([(ours[key], run.truth[key]) for key in keys if key in run.truth])

    is_sample = 0 < len(compared) < len(tiles) + run.older_tiles
    return AccuracyFigures(
        flown=against_truth(flown, flown),
        reference=against_truth(run.reference, compared),
        agreement=agreeing / len(compared) if compared else None,
        flown_on_reference=against_truth(flown, compared),
        compared_tiles=len(compared),
        agreement_interval=wilson_interval(agreeing, len(compared)) if is_sample else None,
    )


def _hops(messages: Iterable[Crossing]) -> list[HopFigures]:
    by_ends: dict[tuple[str, str], list[Crossing]] = defaultdict(list)
    for message in messages:
        if message.fp32_bytes and message.wire_bytes:
            by_ends[message.sender, message.receiver].append(message)
    hops = []
    for (sender, receiver), sent in by_ends.items():
        fp32_bytes = sum(m.fp32_bytes for m in sent)
        wire_bytes = sum(m.wire_bytes for m in sent)
        durations_s = [m.duration_s for m in sent if m.duration_s is not None]
        link_s = sum(durations_s) if len(durations_s) == len(sent) else 0.0
        hops.append(
            HopFigures(
                sender=sender,
                receiver=receiver,
                settings=list(dict.fromkeys(m.setting for m in sent)),
                messages=len(sent),
                fp32_bytes=fp32_bytes,
                wire_bytes=wire_bytes,
                ratio=fp32_bytes / wire_bytes,
                q=wire_bytes / fp32_bytes,
                effective_rate_bps=8 * wire_bytes / link_s if link_s > 0 else None,
            )
        )
    return hops


def _delay_uncertainty_s(run: RunRecord) -> float:
    """What the clocks' offset at the end was known to, and what they may have drifted apart since the beginning [s]."""
    if not run.acquisition_shift_s or not run.acquisition_shift_s[1]:
        return 0.0
    grounded_s = [tile.grounded_s for tile in run.tiles]
    span_s = max(grounded_s) - min(grounded_s) if grounded_s else 0.0
    return run.acquisition_shift_s[1] + MAX_DRIFT * span_s


def _delay(run: RunRecord, delays_s: list[float]) -> Delay:
    if not delays_s or run.acquisition_shift_s is None:
        return Delay(None, None)
    p50, p95 = np.percentile(delays_s, [50, 95])
    return Delay(float(p50), float(p95), _delay_uncertainty_s(run))


def _predictions(run: RunRecord) -> tuple[float | None, float | None]:
    epochs = {stage.epoch for stage in run.stages}
    flown = [plan for plan in run.plans if plan.epoch in epochs]
    if run.gaps or len(epochs) != 1 or len(flown) != 1:
        return None, None
    return flown[0].predicted_exact_s, flown[0].predicted_paper_s


def _traffic(run: RunRecord, messages: list[Crossing]) -> Traffic:
    if run.gaps:
        return Traffic(isl=None, s2g=None, upload=None)
    upload = sum(m.wire_bytes for m in messages if m.sender == run.source)
    s2g = sum(m.wire_bytes for m in messages if m.receiver == run.ground)
    between = sum(m.wire_bytes for m in messages if m.sender != run.source and m.receiver != run.ground)
    return Traffic(isl=between, s2g=s2g, upload=upload if run.transfers else None)
