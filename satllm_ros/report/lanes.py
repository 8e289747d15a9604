"""Who worked when: the content of the timeline, without its looks."""

from dataclasses import dataclass

from satllm_ros.report.record import RunRecord, StageRecord, TransferRecord


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
    """One satellite or one link, with its work on a time axis that starts at 0."""

    name: str
    is_link: bool
    emulated: bool
    bars: tuple[Bar, ...]


def lanes(run: RunRecord) -> list[Lane]:
    """Satellites and links in the order in which the first batch met them; time 0 is the first event.

    Batches are numbered from 1 in the order in which they first appear.
    """
    if not run.stages and not run.transfers:
        return []
    starts_s = [(t.start_s, t) for t in run.transfers] + [(s.compute_start_s, s) for s in run.stages]
    starts_s.sort(key=lambda event: event[0])
    zero_s = starts_s[0][0]
    numbers: dict[tuple[int, int], int] = {}
    bars: dict[tuple[str, ...], list[Bar]] = {}
    for start_s, record in starts_s:
        batch = numbers.setdefault((record.boot_id, record.sequence), len(numbers) + 1)
        stop_s, real_s = _stop_and_real_s(record)
        bar = Bar(start_s - zero_s, stop_s - start_s, real_s, batch, record.attempt > 0)
        bars.setdefault(_lane_of(record), []).append(bar)
    emulated = {s.name for s in run.satellites if s.emulated}
    return [
        Lane(" → ".join(key), len(key) == 2, len(key) == 1 and key[0] in emulated, tuple(work))
        for key, work in bars.items()
    ]


def _lane_of(record: StageRecord | TransferRecord) -> tuple[str, ...]:
    if isinstance(record, StageRecord):
        return (record.satellite,)
    return (record.sender, record.receiver)


def _stop_and_real_s(record: StageRecord | TransferRecord) -> tuple[float, float]:
    if isinstance(record, StageRecord):
        return record.compute_stop_s, record.compute_real_s
    return record.stop_s, record.stop_s - record.start_s
