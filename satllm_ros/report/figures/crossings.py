"""Every message that crossed a link, with what its sender knew about it."""

from collections.abc import Iterator
from dataclasses import dataclass

from satllm_ros.report.record.record import RunRecord


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
    ways: dict[tuple[tuple[int, int], str], tuple[str, ...]] = {}
    for plan in run.plans:
        satellites = [satellite for satellite, *_ in plan.stages]
        for satellite, receiver in zip(satellites, satellites[1:], strict=False):
            ways[plan.epoch, satellite] = (satellite, receiver)
        # Predictions cross once more where another satellite than the last one stores them.
        ways[plan.epoch, satellites[-1]] = tuple(dict.fromkeys((satellites[-1], plan.downlink, run.ground)))
    for stage in run.stages:
        way = ways.get((stage.epoch, stage.satellite), ())
        setting = stage.setting if stage.fp32_bytes else ""
        for sender, receiver in zip(way, way[1:], strict=False):
            if stage.wire_bytes:
                yield Crossing(sender, receiver, stage.fp32_bytes, stage.wire_bytes, setting, None)
