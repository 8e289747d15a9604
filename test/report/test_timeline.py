"""The picture of a run: its content, and that it is drawn."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.image import imread

from satllm_ros.report.printing.lanes import lanes
from satllm_ros.report.printing.timeline import write_timeline
from satllm_ros.report.record.record import RunRecord, StageRecord


def test_lanes_follow_the_first_batch(run: RunRecord) -> None:
    names = [lane.name for lane in lanes(run)]
    assert names[:4] == ["sensing → sat1", "sat1", "sat1 → sat2", "sat2"]
    assert names[-1] == "sat4 → ground" and len(names) == 9


def test_bars_keep_times_and_batches(run: RunRecord) -> None:
    drawn = {lane.name: lane for lane in lanes(run)}
    first, second = drawn["sat2"].bars[:2]
    assert (first.batch, second.batch) == (1, 2)
    assert first.duration_s == pytest.approx(1.8) and first.real_s == pytest.approx(0.36)
    assert first.start_s == pytest.approx(0.3 + 0.05 + 1.5 + 0.08 + 0.5 + 0.05)
    assert drawn["sat2"].emulated and not drawn["sat1 → sat2"].emulated
    assert drawn["sensing → sat1"].bars[0].start_s == 0.0


def test_a_batch_sent_again_keeps_its_number(run: RunRecord) -> None:
    run.transfers.append(replace(run.transfers[0], attempt=1, start_s=9e3, stop_s=9e3 + 1))
    last = lanes(run)[0].bars[-1]
    assert last.batch == 1 and last.resent


def instant(stage: StageRecord) -> StageRecord:
    return replace(stage, compute_stop_s=stage.compute_start_s, compute_s=0.0, compute_real_s=0.0)


@pytest.mark.parametrize("kind", ["emulated", "real", "one batch", "no transfers", "no time", "empty"])
def test_picture_is_drawn(fly: Callable[..., RunRecord], tmp_path: Path, kind: str) -> None:
    run = {
        "emulated": lambda: fly(),
        "real": lambda: fly(real_share=1.0),
        "one batch": lambda: fly(tiles=3),
        "no transfers": lambda: replace(fly(), transfers=[]),
        "no time": lambda: replace(fly(), transfers=[], stages=[instant(fly().stages[0])]),
        "empty": RunRecord,
    }[kind]()
    path = tmp_path / "timeline.png"
    write_timeline(run, path)
    picture = imread(path)
    assert picture.shape[1] == 1950
    assert picture.std() > 0.005, "a blank picture"
