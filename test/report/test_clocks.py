"""Records of hosts that each have a clock of their own: nothing is a difference of two of them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from satllm_ros.report.figures.summary import summarize
from satllm_ros.report.printing.lanes import Lane, lanes
from satllm_ros.report.printing.timeline import write_timeline
from satllm_ros.report.record.clocks import MAX_DRIFT, Clocks, have_one_wall_clock
from satllm_ros.report.record.record import RunRecord
from satllm_ros.report.record.store import load_run, save_run

OURS, THEIRS = "aaaa-1", "bbbb-1"
AHEAD_S = 1000.0
TIMES = ("received_s", "compute_start_s", "compute_stop_s", "sent_s")


def on_two_hosts(run: RunRecord, ahead_s: float = AHEAD_S, host: str = "sat2") -> RunRecord:
    """The same run, where one satellite is a host whose clock is ahead of the others'."""
    stages = [
        replace(s, clock=THEIRS, **{name: getattr(s, name) + ahead_s for name in TIMES})
        if s.satellite == host
        else replace(s, clock=OURS)
        for s in run.stages
    ]
    return replace(run, clock=OURS, stages=stages, transfers=[replace(t, clock=OURS) for t in run.transfers])


def content(drawn: list[Lane]) -> dict[str, tuple[float, ...]]:
    return {lane.name: tuple(bar.start_s for bar in lane.bars) for lane in drawn}


@pytest.mark.parametrize("ahead_s", [AHEAD_S, -AHEAD_S, 0.3])
def test_clocks_that_were_compared_are_brought_to_one_axis(run: RunRecord, ahead_s: float) -> None:
    apart = replace(on_two_hosts(run, ahead_s), clock_offsets={THEIRS: (ahead_s, 0.001)})
    expected, drawn = lanes(run), lanes(apart)
    assert [lane.name for lane in drawn] == [lane.name for lane in expected]
    for name, starts_s in content(expected).items():
        assert content(drawn)[name] == pytest.approx(starts_s, abs=1e-6)
    assert not any(lane.apart for lane in drawn)
    (note,) = summarize(apart).notes
    assert "2 clocks" in note and "to within" in note
    assert Clocks(apart).uncertainty_s >= 0.001


@pytest.mark.parametrize("ahead_s", [AHEAD_S, -AHEAD_S])
def test_a_clock_that_nobody_compared_has_an_axis_of_its_own(run: RunRecord, ahead_s: float, tmp_path: Path) -> None:
    apart = on_two_hosts(run, ahead_s)
    expected, drawn = lanes(run), lanes(apart)
    assert [lane.name for lane in drawn] == [lane.name for lane in expected]
    assert [lane.name for lane in drawn if lane.apart] == ["sat2"]
    for lane, known in zip(drawn, expected, strict=True):
        zero_s = known.bars[0].start_s if lane.apart else 0.0
        assert [bar.start_s for bar in lane.bars] == pytest.approx([bar.start_s - zero_s for bar in known.bars])
        assert [bar.duration_s for bar in lane.bars] == pytest.approx([bar.duration_s for bar in known.bars])
        assert [bar.batch for bar in lane.bars] == [bar.batch for bar in known.bars]
    (note,) = summarize(apart).notes
    assert "1 were not compared" in note
    write_timeline(apart, tmp_path / "timeline.png")


def test_durations_and_the_ideal_do_not_depend_on_clocks(run: RunRecord) -> None:
    one, two = summarize(run), summarize(on_two_hosts(run, -3000.0))
    assert two.satellites == one.satellites
    assert two.makespan_s == one.makespan_s and two.hops == one.hops


def test_the_last_assignment_is_the_last_one_flown_after_a_host_has_booted_anew(run: RunRecord) -> None:
    # Its clock began anew: later batches have earlier times.
    stages = []
    for s in run.stages:
        is_late = s.satellite == "sat4" and s.sequence >= 4
        moved = {name: getattr(s, name) - 4000.0 for name in TIMES} if is_late else {}
        stages.append(replace(s, start=s.start + 1, clock=THEIRS, **moved) if is_late else replace(s, clock=OURS))
    (use,) = [use for use in summarize(replace(run, stages=stages)).satellites if use.name == "sat4"]
    assert (use.start, use.stop) == (10, 12)


def test_delays_by_clocks_that_nobody_compared_are_left_out_and_said(run: RunRecord) -> None:
    summary = summarize(replace(run, acquisition_shift_s=None))
    assert (summary.delay_s.p50, summary.delay_s.uncertainty, summary.makespan_s.measured) == (None, None, None)
    assert any("delays and makespan are left out" in note for note in summary.notes)


def test_delays_are_corrected_with_their_uncertainty(run: RunRecord) -> None:
    # Sensing's clock is 1,000 s ahead of the ground's.
    ahead_ns = round(AHEAD_S * 1e9)
    frames = [replace(f, arrival_ns=f.arrival_ns + ahead_ns) for f in run.frames]
    tiles = [replace(t, grounded_s=t.grounded_s + 2 * AHEAD_S) for t in run.tiles]
    moved = replace(run, frames=frames, tiles=tiles, acquisition_shift_s=(AHEAD_S, 0.02))
    known, corrected = summarize(run), summarize(moved)
    assert corrected.delay_s.p50 == pytest.approx(known.delay_s.p50, abs=1e-5)
    assert corrected.makespan_s.measured == pytest.approx(known.makespan_s.measured, abs=1e-5)
    grounded_s = [tile.grounded_s for tile in run.tiles]
    # What they may have drifted apart since the run began is in it.
    uncertainty_s = 0.02 + MAX_DRIFT * (max(grounded_s) - min(grounded_s))
    assert corrected.delay_s.uncertainty == pytest.approx(uncertainty_s) and known.delay_s.uncertainty == 0.0
    assert any(f"to within {1000 * uncertainty_s:.3g} ms" in note for note in corrected.notes)


def test_clocks_survive_the_disk_and_older_records_have_none(run: RunRecord, tmp_path: Path) -> None:
    apart = replace(on_two_hosts(run), clock_offsets={THEIRS: (5.0, 0.5)}, acquisition_shift_s=None)
    save_run(apart, tmp_path)
    back = load_run(tmp_path)
    assert content(lanes(back)) == content(lanes(apart)) and back.acquisition_shift_s is None
    header = json.loads((tmp_path / "run.json").read_text())
    for name in ("clock", "clock_offsets", "acquisition_shift_s"):
        del header[name]
    (tmp_path / "run.json").write_text(json.dumps(header))
    for name in ("stages", "transfers"):
        lines = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({**row, "clock": ""}) + "\n" for row in lines))
    older = load_run(tmp_path)
    assert Clocks(older).strange == [] and older.acquisition_shift_s == (0.0, 0.0)


def test_namespaces_of_one_computer_have_one_wall_clock() -> None:
    assert have_one_wall_clock("aaaa-1", "aaaa-2") and not have_one_wall_clock("aaaa-1", "bbbb-1")
    assert not have_one_wall_clock("", "")
