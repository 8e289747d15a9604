"""Every message that crossed a link, with what its sender knew about it."""

from collections.abc import Iterator
from dataclasses import dataclass

from satllm_ros.report.record import RunRecord, StageRecord


@dataclass(frozen=True)
class Crossing:
    """One message on one link; `fp32_bytes` is 0 and `setting` empty unless it carried an activation.

    `duration_s` is the time from the first bit sent to the last bit received, None when nobody timed it.
    """

    sender: str
    receiver: str
    fp32_bytes: int
    wire_bytes: int
    setting: str
    duration_s: float | None


def crossings(run: RunRecord) -> Iterator[Crossing]:
    """Yield one crossing per message, re-sent batches and duplicates included.

    Timed transfers are the source where there are any. Without them (links that nobody emulates, hence
    nobody times) the stages' own records say what was sent, and the committed plan to whom; the upload is
    then unknown.
    """
    if not run.transfers:
        yield from _from_stages(run)
        return
    sent = {(s.satellite, s.boot_id, s.sequence, s.attempt): s for s in run.stages}
    for transfer in run.transfers:
        stage = sent.get((transfer.sender, transfer.boot_id, transfer.sequence, transfer.attempt))
        yield Crossing(
            transfer.sender,
            transfer.receiver,
            stage.fp32_bytes if stage else 0,
            transfer.wire_bytes,
            stage.setting if stage and stage.fp32_bytes else "",
            transfer.stop_s - transfer.start_s,
        )


def _from_stages(run: RunRecord) -> Iterator[Crossing]:
    next_hop: dict[tuple[str, int, int], str] = {}
    for plan in run.plans:
        receivers = [satellite for satellite, *_ in plan.stages[1:]] + [run.ground]
        for (satellite, start, stop, _), receiver in zip(plan.stages, receivers, strict=True):
            next_hop[satellite, start, stop] = receiver
    for stage in run.stages:
        receiver = next_hop.get(_assignment(stage))
        if receiver is not None and stage.wire_bytes:
            setting = stage.setting if stage.fp32_bytes else ""
            yield Crossing(stage.satellite, receiver, stage.fp32_bytes, stage.wire_bytes, setting, None)


def _assignment(stage: StageRecord) -> tuple[str, int, int]:
    return stage.satellite, stage.start, stage.stop
