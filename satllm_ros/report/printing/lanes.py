"""Who worked when: the content of the timeline, without its looks."""

from dataclasses import dataclass

from satllm_ros.report.record.clocks import Clocks, life_ranks
from satllm_ros.report.record.record import RunRecord, StageRecord, TransferRecord


@dataclass(frozen=True)
class Bar:
    """One stretch of work in a lane; `real_s` is the part the processor took."""

    start_s: float
    duration_s: float
    real_s: float
    batch: int
    resent: bool


@dataclass(frozen=True)
class Lane:
    """One satellite or one link, with its work on a time axis that starts at 0.

    `apart` says that nobody compared its clock with the others': it starts at the first event of that clock.
    """

    name: str
    is_link: bool
    emulated: bool
    bars: tuple[Bar, ...]
    apart: bool = False


def lanes(run: RunRecord) -> list[Lane]:
    """Satellites and links in the order in which the first batch met them; time 0 is the first event.

    Batches are numbered from 1 in the order in which sensing made them. Nothing in it is a difference of times of two
    clocks, unless these were compared.
    """
    records: list[StageRecord | TransferRecord] = [*run.transfers, *run.stages]
    clocks, lives = Clocks(run), life_ranks(run)
    batches = sorted({(lives[r.boot_id], r.sequence) for r in records})
    numbers = {batch: number for number, batch in enumerate(batches, start=1)}
    starts_s = [(_start_s(record) - clocks.offset_s(record), record) for record in records]
    starts_s.sort(key=lambda event: event[0])
    zero_s: dict[str, float] = {}
    bars: dict[tuple[str, ...], list[Bar]] = {}
    apart: set[tuple[str, ...]] = set()
    for start_s, record in starts_s:
        axis = clocks.axis_of(record)
        batch = numbers[lives[record.boot_id], record.sequence]
        duration_s, real_s = _duration_and_real_s(record)
        bar = Bar(start_s - zero_s.setdefault(axis, start_s), duration_s, real_s, batch, record.attempt > 0)
        bars.setdefault(_lane_of(record), []).append(bar)
        if axis and len(clocks.names) > 1:
            apart.add(_lane_of(record))
    emulated = {s.name for s in run.satellites if s.emulated}
    places = _places(run)
    order = sorted(bars, key=lambda key: (min(bar.batch for bar in bars[key]), _place(run, places, key)))
    return [
        Lane(" → ".join(key), len(key) == 2, len(key) == 1 and key[0] in emulated, tuple(bars[key]), apart=key in apart)
        for key in order
    ]


def _places(run: RunRecord) -> dict[str, int]:
    """By satellite, the block before the first one that it ran: the further down the chain, the higher."""
    places: dict[str, int] = {}
    for stage in run.stages:
        places.setdefault(stage.satellite, stage.start)
    return places


def _place(run: RunRecord, places: dict[str, int], key: tuple[str, ...]) -> tuple[int, int]:
    """Where on a batch's way a lane lies: a link before whoever receives by it, that to the ground last."""
    last = max(places.values(), default=0) + 1
    receiver = key[-1]
    return places.get(receiver, last + (receiver == run.ground)), int(len(key) == 1)


def _lane_of(record: StageRecord | TransferRecord) -> tuple[str, ...]:
    if isinstance(record, StageRecord):
        return (record.satellite,)
    return (record.sender, record.receiver)


def _start_s(record: StageRecord | TransferRecord) -> float:
    return record.compute_start_s if isinstance(record, StageRecord) else record.start_s


def _duration_and_real_s(record: StageRecord | TransferRecord) -> tuple[float, float]:
    if isinstance(record, StageRecord):
        return record.compute_stop_s - record.compute_start_s, record.compute_real_s
    return record.stop_s - record.start_s, record.stop_s - record.start_s
