"""What each satellite did with its time and memory."""

from collections import defaultdict
from dataclasses import dataclass
from statistics import median

from satllm_ros.report.record.clocks import life_ranks
from satllm_ros.report.record.record import RunRecord, StageRecord


@dataclass(frozen=True)
class SatelliteUse:
    """One satellite of a run.

    Attributes
    ----------
    start, stop
        It ran blocks start+1 .. stop in its last batch; None if it computed nothing.
    memory_bytes
        Loaded sub-models; None if it never reported.
    emulated
        True if `compute_s`, and all that follows from it, is imposed by emulation: the satellite said so or,
        if it never reported, its batches took longer than its processor did.
    tiles
        Tiles of the batches the times refer to: the full ones.
    wait_s, decode_s, compute_s, compute_real_s, encode_s, publish_s
        Medians per batch of `tiles` tiles with the last assignment; None if it computed nothing. `wait_s` is
        time in queues; `compute_real_s` is what the engine itself took.
    first_block_s, flown_block_s
        Seconds a tile takes in a block: as a satellite at its own speed said before it had any, None if that was not
        heard; and in flight, `compute_real_s` by tiles and blocks: with embedding and head at the ends of the chain.
    utilisation, utilisation_real
        Total compute_s and compute_real_s over the measured makespan [-]; None without a makespan.
    """

    name: str
    start: int | None
    stop: int | None
    memory_bytes: int | None
    emulated: bool
    tiles: int | None
    wait_s: float | None
    decode_s: float | None
    compute_s: float | None
    compute_real_s: float | None
    encode_s: float | None
    publish_s: float | None
    first_block_s: float | None
    flown_block_s: float | None
    utilisation: float | None
    utilisation_real: float | None


def satellite_uses(run: RunRecord, makespan_s: float | None) -> list[SatelliteUse]:
    """Satellites in flight order, idle ones last; utilisation is relative to `makespan_s` [s]."""
    stages: dict[str, list[StageRecord]] = {s.name: [] for s in run.satellites}
    for record in run.stages:
        stages.setdefault(record.satellite, []).append(record)
    lives = life_ranks(run)
    uses = [_use(run, lives, name, records, makespan_s) for name, records in stages.items()]
    return sorted(uses, key=lambda use: (use.start is None, use.start or 0))


def _use(
    run: RunRecord, lives: dict[int, int], name: str, records: list[StageRecord], makespan_s: float | None
) -> SatelliteUse:
    status = next((s for s in reversed(run.satellites) if s.name == name), None)
    by_assignment: dict[tuple[int, int], list[StageRecord]] = defaultdict(list)
    for record in records:
        by_assignment[record.start, record.stop].append(record)
    # A host that booted anew has another clock.
    last = max(records, key=lambda r: (r.epoch, lives[r.boot_id], r.sequence, r.attempt), default=None)
    same = by_assignment[last.start, last.stop] if last else []
    tiles = max((r.tiles for r in same), default=None)
    full = [r for r in same if r.tiles == tiles]

    def typical(times: list[float]) -> float | None:
        return median(times) if times else None

    def share(times: list[float]) -> float | None:
        return sum(times) / makespan_s if makespan_s else None

    real_s = typical([r.compute_real_s for r in full])
    work = tiles * (last.stop - last.start) if tiles and last else 0
    return SatelliteUse(
        name=name,
        start=last.start if last else None,
        stop=last.stop if last else None,
        memory_bytes=status.memory_bytes if status else None,
        emulated=status.emulated if status else any(r.compute_s > r.compute_real_s for r in records),
        tiles=tiles,
        wait_s=typical([r.wait_s for r in full]),
        decode_s=typical([r.decode_s for r in full]),
        compute_s=typical([r.compute_s for r in full]),
        compute_real_s=real_s,
        encode_s=typical([r.encode_s for r in full]),
        publish_s=typical([r.publish_s for r in full]),
        first_block_s=status.first_block_s if status else None,
        flown_block_s=real_s / work if real_s is not None and work else None,
        utilisation=share([r.compute_s for r in records]),
        utilisation_real=share([r.compute_real_s for r in records]),
    )
