"""The ideal flow line against its closed form and against simulated runs."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.planning.paper.simulate import simulate
from satllm_ros.report.figures.flowline import FlowStep, flow_line_makespan_s, ideal_makespan_s
from satllm_ros.report.record.record import RunRecord

times = st.floats(0.0, 100.0)


@given(busy_s=st.lists(times, min_size=1, max_size=8), batches=st.integers(1, 20))
def test_equal_batches_follow_the_exact_delay_model(busy_s: list[float], batches: int) -> None:
    line = [FlowStep(r, busy) for r, busy in enumerate(busy_s)]
    closed_form_s = sum(busy_s) + (batches - 1) * max(busy_s)
    assert flow_line_makespan_s([line] * batches) == pytest.approx(closed_form_s)


@given(busy_s=st.lists(times, min_size=1, max_size=6), latency_s=times, batches=st.integers(1, 9))
def test_latency_delays_once_and_holds_nothing(busy_s: list[float], latency_s: float, batches: int) -> None:
    line = [FlowStep(r, busy) for r, busy in enumerate(busy_s)]
    late = [replace(line[0], latency_s=latency_s), *line[1:]]
    expected_s = flow_line_makespan_s([line] * batches) + latency_s
    assert flow_line_makespan_s([late] * batches) == pytest.approx(expected_s)


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(times, min_size=n, max_size=n), min_size=1)))
def test_unequal_batches_follow_the_event_simulation(busy_s: list[list[float]]) -> None:
    latency_s = [0.5 * r for r in range(len(busy_s[0]))]
    batches = [[FlowStep(r, b, latency_s[r]) for r, b in enumerate(batch)] for batch in busy_s]
    simulated = simulate(busy_s, propagation_s=latency_s)
    assert flow_line_makespan_s(batches) == pytest.approx(simulated.makespan_s)


def test_no_batches_take_no_time() -> None:
    assert flow_line_makespan_s([]) == 0.0
    assert ideal_makespan_s(RunRecord()) is None


@given(
    tiles=st.integers(1, 100),
    tiles_per_batch=st.integers(1, 16),
    compute_s=st.lists(st.floats(0.01, 3.0), min_size=1, max_size=5),
    data=st.data(),
)
def test_ideal_is_what_a_flow_line_measures(
    fly: Callable[..., RunRecord], tiles: int, tiles_per_batch: int, compute_s: list[float], data: st.DataObject
) -> None:
    """A smaller last batch, propagation, and any bottleneck included."""
    hops = len(compute_s) + 1
    transfer_s = tuple(data.draw(st.lists(st.floats(0.01, 3.0), min_size=hops, max_size=hops)))
    run = fly(
        tiles=tiles,
        tiles_per_batch=tiles_per_batch,
        compute_s=tuple(compute_s),
        transfer_s=transfer_s,
        propagation_s=data.draw(st.sampled_from((0.0, 0.7))),
    )
    first_s = min(t.start_s for t in run.transfers)
    last_s = max(t.stop_s for t in run.transfers)
    assert ideal_makespan_s(run) == pytest.approx(last_s - first_s, abs=1e-6)


def test_one_slow_batch_does_not_move_the_medians(run: RunRecord) -> None:
    before_s = ideal_makespan_s(run)
    run.stages[0] = replace(run.stages[0], compute_s=60.0)
    assert ideal_makespan_s(run) == pytest.approx(before_s)


def test_a_batch_without_all_its_records_is_left_out(run: RunRecord) -> None:
    before_s = ideal_makespan_s(run)
    del run.stages[5]
    assert ideal_makespan_s(run) == pytest.approx(before_s - 1.8)


def test_separate_downlink_is_one_more_link(run: RunRecord) -> None:
    before_s = ideal_makespan_s(run)
    run.plans = [replace(run.plans[0], downlink="relay")]
    down = [t for t in run.transfers if t.receiver == "ground"]
    run.transfers += [replace(t, sender="relay") for t in down]
    run.transfers = [replace(t, receiver="relay") if t.sender == "sat4" else t for t in run.transfers]
    assert ideal_makespan_s(run) == pytest.approx(before_s + 0.05)


def test_a_new_split_in_flight_takes_the_times_of_each_split(run: RunRecord) -> None:
    """The second half flies through two satellites: no batch borrows the other split's route."""
    first = [s for s in run.stages if s.sequence < 4]
    second = [s for s in run.stages if s.sequence >= 4 and s.satellite in ("sat1", "sat2")]
    run.stages = first + [replace(s, start=2 * s.start, stop=2 * s.stop) for s in second]
    run.transfers = [t for t in run.transfers if t.sequence < 4]
    alone = replace_run(run, 0, 4)
    assert ideal_makespan_s(alone) < ideal_makespan_s(run) < ideal_makespan_s(alone) + 4 * 1.8 + 2.0


def replace_run(run: RunRecord, first: int, stop: int) -> RunRecord:
    return replace(run, stages=[s for s in run.stages if first <= s.sequence < stop])
