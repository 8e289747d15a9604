"""A flow line on paper: synthetic runs whose every figure is known beforehand."""

from collections.abc import Callable

import pytest

from satllm_ros.report.record.audit import Audit
from satllm_ros.report.record.record import (
    FrameRecord,
    LinkRecord,
    PlanRecord,
    RunRecord,
    SatelliteRecord,
    StageRecord,
    TileRecord,
    TransferRecord,
)

STEADY_ZERO_S = 5000.0
ROS_ZERO_S = 1.7e9


def simulate(
    *,
    tiles: int = 128,
    tiles_per_batch: int = 16,
    decode_s: float = 0.05,
    encode_s: float = 0.08,
    compute_s: tuple[float, ...] = (1.5, 1.8, 1.2, 1.7),
    transfer_s: tuple[float, ...] = (0.3, 0.5, 0.4, 0.6, 0.05),
    propagation_s: float = 0.0,
    real_share: float = 0.2,
    blocks_each: int = 3,
) -> RunRecord:
    """Fly `tiles` through len(compute_s) satellites; a smaller last batch takes proportionally less."""
    names = [f"sat{k + 1}" for k in range(len(compute_s))]
    ends = ["sensing", *names, "ground"]
    blocks = [(k * blocks_each, (k + 1) * blocks_each) for k in range(len(names))]
    sizes = [min(tiles_per_batch, tiles - first) for first in range(0, tiles, tiles_per_batch)]
    run = RunRecord(
        classes=tuple("abcdefghij"),
        tiles_per_batch=tiles_per_batch,
        sent_tiles=tiles,
        tile_height=64,
        tile_width=64,
        acquisition="arrival",
        acquisition_reason="these stamps are the recording's",
        audit=Audit("journal", tiles, tiles, ended=True),
        plans=[
            PlanRecord(
                (1, 1),
                "0123456789abcdef",
                tuple((n, a, b, "int8") for n, (a, b) in zip(names, blocks, strict=True)),
                names[-1],
                "",
                20.0,
                25.0,
            )
        ],
        satellites=[SatelliteRecord(n, 11_000_000, 10**9, 0.03, 0.006, real_share < 1) for n in names],
        links=[LinkRecord(a, b, 1e7, propagation_s) for a, b in zip(ends, ends[1:], strict=False)],
    )
    free: dict[tuple, float] = {}

    def work(resource: tuple, ready_s: float, duration_s: float) -> tuple[float, float]:
        start_s = max(ready_s, free.get(resource, 0.0))
        free[resource] = start_s + duration_s
        return start_s, free[resource]

    def send(hop: int, sequence: int, ready_s: float, share: float, wire_bytes: int) -> float:
        start_s, stop_s = work(("link", hop), ready_s, transfer_s[hop] * share)
        stop_s += propagation_s
        run.transfers.append(
            TransferRecord(
                ends[hop],
                ends[hop + 1],
                7,
                sequence,
                0,
                wire_bytes,
                start_s + STEADY_ZERO_S,
                stop_s + STEADY_ZERO_S,
            )
        )
        return stop_s

    frame = 1
    for sequence, size in enumerate(sizes):
        share = size / tiles_per_batch
        now_s = send(0, sequence, 0.0, share, 1000 * size)
        for k, name in enumerate(names):
            received_s = now_s
            _, decoded_s = work(("decode", k), received_s, decode_s * share)
            start_s, stop_s = work(("compute", k), decoded_s, compute_s[k] * share)
            _, sent_s = work(("encode", k), stop_s, encode_s * share)
            last = k == len(names) - 1
            wire_bytes = 100 * size if last else 5000 * size
            busy_s = (decode_s + compute_s[k] + encode_s) * share
            run.stages.append(
                StageRecord(
                    satellite=name,
                    boot_id=7,
                    sequence=sequence,
                    attempt=0,
                    epoch=(1, 1),
                    start=blocks[k][0],
                    stop=blocks[k][1],
                    tiles=size,
                    received_s=received_s + STEADY_ZERO_S,
                    compute_start_s=start_s + STEADY_ZERO_S,
                    compute_stop_s=stop_s + STEADY_ZERO_S,
                    sent_s=sent_s + STEADY_ZERO_S,
                    wait_s=sent_s - received_s - busy_s,
                    decode_s=decode_s * share,
                    compute_s=compute_s[k] * share,
                    compute_real_s=compute_s[k] * share * real_share,
                    encode_s=encode_s * share * 0.75,
                    publish_s=encode_s * share * 0.25,
                    fp32_bytes=0 if last else 25_000 * size,
                    frame_bytes=0 if last else 4900 * size,
                    wire_bytes=wire_bytes,
                    setting="int8",
                )
            )
            now_s = send(k + 1, sequence, sent_s, share, wire_bytes)
        for _ in range(size):
            label = frame % 10
            tile = TileRecord(
                "bag", frame, 0, label, ROS_ZERO_S, ROS_ZERO_S + now_s, 1, "m0de1", (1, 1), "0123456789abcdef"
            )
            zero_ns = round(ROS_ZERO_S) * 10**9
            image = FrameRecord("bag", frame, f"/camera/image#{frame}", 64, 64, 1, zero_ns + frame, zero_ns, "")
            run.tiles.append(tile)
            run.frames.append(image)
            run.truth[tile.key] = label
            run.reference[tile.key] = label
            frame += 1
    return run


@pytest.fixture(scope="session")
def fly() -> Callable[..., RunRecord]:
    """The simulator, with its keyword arguments."""
    return simulate


@pytest.fixture
def run() -> RunRecord:
    """Eight full batches through four emulated satellites."""
    return simulate()
