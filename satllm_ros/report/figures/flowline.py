"""The makespan an ideal flow line would reach with the stage times this very run measured."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from satllm_ros.report.record.clocks import life_ranks
from satllm_ros.report.record.record import RunRecord, StageRecord

Record = TypeVar("Record")


@dataclass(frozen=True)
class FlowStep:
    """One resource on a batch's way: held for `busy_s`; the batch goes on `latency_s` later."""

    resource: Hashable
    busy_s: float
    latency_s: float = 0.0


def flow_line_makespan_s(batches: Iterable[Iterable[FlowStep]]) -> float:
    """Makespan of batches that pass resources one after the other, with unbounded buffers between them.

    Each resource serves one batch at a time, first come first served:
    done(b, r) = max(done(b, r-1) + latency(b, r-1), done(b-1, r)) + busy(b, r). For B equal batches without
    latency this is T = sum_r busy_r + (B - 1) max_r busy_r, the `exact` delay model.

    Parameters
    ----------
    batches
        The steps of each batch, in the order in which the batches enter.

    Returns
    -------
    float
        From the entry of the first batch to the exit of the last one [s]; 0 without batches.
    """
    free_s: dict[Hashable, float] = defaultdict(float)
    makespan_s = 0.0
    for steps in batches:
        now_s = 0.0
        for step in steps:
            now_s = max(now_s, free_s[step.resource]) + step.busy_s
            free_s[step.resource] = now_s
            now_s += step.latency_s
        makespan_s = max(makespan_s, now_s)
    return makespan_s


def ideal_makespan_s(run: RunRecord) -> float | None:
    """Flow-line makespan of the run's own median times: T = sum_r t_r + (B - 1) max_r t_r.

    The resources r of a satellite are its decode, its compute and its encode-and-publish, since each has a
    thread of its own and they overlap across batches; every link is one more. A link is held while it sends;
    its propagation is a latency. A batch of fewer tiles (the last one) takes the median times of batches of
    that size instead, which generalises the formula above (see `flow_line_makespan_s`). A batch counts once,
    however often it was sent. Batches whose records do not reach from the first block to the last are left
    out, which can only lower the ideal.

    Returns
    -------
    float or None
        Makespan [s]; None when no batch is recorded from end to end.
    """
    routes = _routes(run)
    if not routes:
        return None
    stage_s = _medians(
        (((s.satellite, s.start, s.stop, s.tiles), s) for s in run.stages),
        lambda s: (s.decode_s, s.compute_s, s.encode_s + s.publish_s),
    )
    tiles = {(s.boot_id, s.sequence): s.tiles for s in run.stages}
    link_s = _medians(
        (((t.sender, t.receiver, tiles.get((t.boot_id, t.sequence), 0)), t) for t in run.transfers),
        lambda t: (t.stop_s - t.start_s,),
    )
    propagation_s = {(link.sender, link.receiver): link.propagation_s for link in run.links}

    def link_step(sender: str, receiver: str, tiles: int) -> FlowStep:
        (duration_s,) = link_s.get((sender, receiver, tiles), (0.0,))
        latency_s = min(propagation_s.get((sender, receiver), 0.0), duration_s)
        return FlowStep(("link", sender, receiver), duration_s - latency_s, latency_s)

    def steps(route: list[StageRecord]) -> list[FlowStep]:
        way: list[FlowStep] = []
        sender = run.source
        for stage in route:
            decode_s, compute_s, send_s = stage_s[stage.satellite, stage.start, stage.stop, stage.tiles]
            way.append(link_step(sender, stage.satellite, stage.tiles))
            way.append(FlowStep(("decode", stage.satellite), decode_s))
            way.append(FlowStep(("compute", stage.satellite), compute_s))
            way.append(FlowStep(("send", stage.satellite), send_s))
            sender = stage.satellite
        downlink = run.plans[-1].downlink if run.plans else sender
        if downlink != sender:
            way.append(link_step(sender, downlink, route[-1].tiles))
        way.append(link_step(downlink, run.ground, route[-1].tiles))
        return way

    return flow_line_makespan_s(steps(route) for route in routes)


def _routes(run: RunRecord) -> list[list[StageRecord]]:
    """Stages of each batch from first block to last, newest complete attempt, in the order in which they were made."""
    stages, lives = run.stages, life_ranks(run)
    if not stages:
        return []
    blocks = max(s.stop for s in stages)
    attempts: dict[tuple[int, int, int], dict[int, StageRecord]] = defaultdict(dict)
    for s in stages:
        attempts[s.boot_id, s.sequence, s.attempt][s.start] = s
    complete: dict[tuple[int, int], list[StageRecord]] = {}
    for (boot_id, sequence, _), by_start in sorted(attempts.items()):
        route = [by_start[start] for start in sorted(by_start)]
        edges = [0] + [s.stop for s in route]
        if edges[-1] == blocks and all(s.start == edge for s, edge in zip(route, edges, strict=False)):
            complete[boot_id, sequence] = route
    # Not by time of arrival: batches before and after a change of plan may enter at different hosts.
    return sorted(complete.values(), key=lambda route: (lives[route[0].boot_id], route[0].sequence))


def _medians(
    pairs: Iterable[tuple[Hashable, Record]], times: Callable[[Record], tuple[float, ...]]
) -> dict[Hashable, tuple[float, ...]]:
    """Column-wise medians of `times(record)` over the records that share a key."""
    groups: dict[Hashable, list[tuple[float, ...]]] = defaultdict(list)
    for key, record in pairs:
        groups[key].append(times(record))
    return {key: tuple(median(column) for column in zip(*rows, strict=True)) for key, rows in groups.items()}
