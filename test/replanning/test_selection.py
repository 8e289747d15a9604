"""Who flies: all, or fewer where all together cannot or would be slower."""

from dataclasses import replace

import pytest
from flight_facts import BLOCK_BYTES, BLOCKS, make_facts
from hypothesis import given, settings
from hypothesis import strategies as st

from satllm_ros.planning.problem.problem import Setting
from satllm_ros.planning.problem.solution import Infeasible, Solution
from satllm_ros.planning.solver.solve import solve
from satllm_ros.replanning.flight import FlightFacts, SatelliteFacts, flight_problem
from satllm_ros.replanning.selection import best_selection


def crew_of(facts: FlightFacts) -> list[str]:
    outcome = best_selection(facts)[1]
    assert isinstance(outcome, Solution)
    return [stage.satellite for stage in outcome.stages]


def with_memory(facts: FlightFacts, *memory_bytes: float) -> FlightFacts:
    satellites = [replace(s, memory_bytes=b) for s, b in zip(facts.satellites, memory_bytes, strict=True)]
    return replace(facts, satellites=satellites)


def test_all_fly_where_all_help() -> None:
    assert crew_of(make_facts(0.1, 0.1, 0.1)) == ["sat1", "sat2", "sat3"]


def test_one_that_only_slows_the_line_is_left_out() -> None:
    assert crew_of(make_facts(0.1, 50.0, 0.1)) == ["sat1", "sat3"]


@pytest.mark.parametrize("small", [0, 1, 2])
def test_those_that_cannot_hold_a_block_are_left_out(small: int) -> None:
    facts = make_facts(0.1, 0.1, 0.1, 0.1)
    memory = [1e6] * 4
    memory[small] = memory[small + 1] = BLOCK_BYTES - 1
    assert crew_of(with_memory(facts, *memory)) == [f"sat{i + 1}" for i in range(4) if i not in (small, small + 1)]


def test_no_more_satellites_fly_than_there_are_blocks() -> None:
    assert len(crew_of(make_facts(*[0.1] * (BLOCKS + 2)))) == BLOCKS


def test_a_floor_that_no_setting_meets_is_not_loosened() -> None:
    facts = make_facts(0.1, 0.1, accuracy_floor=0.95)
    assert len(crew_of(facts)) == 1
    problem, outcome = best_selection(with_memory(facts, 300, 300))
    assert isinstance(outcome, Infeasible) and [r.constraint for r in outcome.reasons][0] == "accuracy"
    assert len(problem.satellites) == 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 10), st.integers(0, 700)), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.895, 1.0]),
)
def test_it_is_never_worse_than_all_together_nor_than_one_alone(
    satellites: list[tuple[float, int]], floor: float
) -> None:
    facts = make_facts(
        settings=[Setting("raw", 1.0, 0.9), Setting("int8", 0.25, 0.89)],
        satellites=[SatelliteFacts(f"s{i}", *figures) for i, figures in enumerate(satellites)],
        accuracy_floor=floor,
    )
    _, outcome = best_selection(facts)
    together = solve(flight_problem(facts))
    if isinstance(together, Solution):
        assert isinstance(outcome, Solution) and outcome.delay_s <= together.delay_s * (1 + 1e-9)
    if any(memory >= BLOCKS * BLOCK_BYTES for _, memory in satellites):
        assert isinstance(outcome, Solution)
    if isinstance(outcome, Solution):
        budget = {s.name: s.memory_bytes for s in facts.satellites}
        assert all((stage.stop - stage.start) * BLOCK_BYTES <= budget[stage.satellite] for stage in outcome.stages)
        if floor == 1.0:
            assert len(outcome.stages) == 1
