"""From the record of a run to its figures."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from satllm_ros.report.crossings import Crossing, crossings
from satllm_ros.report.figures import Accuracy, Delay, Hop, Makespan, Summary, Throughput, Tiles, Traffic
from satllm_ros.report.flowline import ideal_makespan_s
from satllm_ros.report.record import RunRecord, TileRecord
from satllm_ros.report.satellites import satellite_uses
from satllm_ros.report.tiles import share_right, unique_tiles


def summarise(run: RunRecord) -> Summary:
    """Compute the figures of a run, complete or broken off; what is unknown is None, never a guess."""
    tiles = unique_tiles(run)
    received = len(tiles) + run.older_tiles
    measured_s = None
    if tiles and not run.older_tiles:
        measured_s = max(t.grounded_s for t in tiles) - min(t.acquired_s for t in tiles)
    ideal_s = None if run.gaps else ideal_makespan_s(run)
    messages = list(crossings(run))
    return Summary(
        tiles=Tiles(
            sent=run.sent_tiles,
            received=received,
            duplicates=sum(t.copies - 1 for t in tiles),
            lost=max(0, run.sent_tiles - received),
            dropped=dict(run.dropped),
        ),
        in_custody=dict(run.in_custody),
        gaps=list(run.gaps),
        accuracy=_accuracy(run, tiles),
        hops=_hops(messages),
        satellites=satellite_uses(run, None if run.gaps else measured_s),
        delay_s=_delay(tiles),
        makespan_s=Makespan(measured_s, ideal_s, *_predictions(run)),
        throughput=Throughput(
            tiles_per_s=received / measured_s if measured_s else None,
            of_ideal=ideal_s / measured_s if measured_s and ideal_s is not None else None,
        ),
        traffic_bytes=_traffic(run, messages),
    )


def _accuracy(run: RunRecord, tiles: list[TileRecord]) -> Accuracy:
    flown = {(t.frame, t.tile_index): t.label for t in tiles}

    def against(ours: dict[tuple[int, int], int], theirs: dict[tuple[int, int], int]) -> float | None:
        return share_right([(ours[key], theirs[key]) for key in flown if key in ours and key in theirs])

    return Accuracy(
        flown=against(flown, run.truth),
        reference=against(run.reference, run.truth),
        agreement=against(flown, run.reference),
    )


def _hops(messages: Iterable[Crossing]) -> list[Hop]:
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
            Hop(
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


def _delay(tiles: list[TileRecord]) -> Delay:
    if not tiles:
        return Delay(None, None)
    p50, p95 = np.percentile([t.grounded_s - t.acquired_s for t in tiles], [50, 95])
    return Delay(float(p50), float(p95))


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
