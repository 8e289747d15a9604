"""docs/errata.md, entry by entry: problems on which the paper's formulas or its search go wrong, checked by hand."""

from collections.abc import Sequence

import pytest

from satllm_ros.planning.paper.paper_search import READINGS, Reading, search
from satllm_ros.planning.problem.problem import Problem
from satllm_ros.planning.problem.problem_json import from_json
from satllm_ros.planning.problem.solution import Solution
from satllm_ros.planning.solver.solve import solve


def chain(
    batches: int,
    layer_flops: Sequence[float],
    cut_bytes: Sequence[float],
    speeds: Sequence[float],
    ratios: Sequence[float],
) -> Problem:
    """Links of one byte a second, no limit of memory or accuracy."""
    layers = len(layer_flops)
    return from_json(
        {
            "batches": batches,
            "model": {"layer_flops": layer_flops, "layer_memory_bytes": [1] * layers, "cut_bytes": cut_bytes},
            "satellites": [
                {"name": f"sat{k + 1}", "flops_per_s": speed, "memory_bytes": layers} for k, speed in enumerate(speeds)
            ],
            "links": [{"rate_bps": 8}] * (len(speeds) + 1),
            "compression": {"ratios": ratios, "accuracy": [[0, 0.9], [1, 1]], "accuracy_min": 0.9},
        }
    )


def cuts(solution: Solution) -> list[int]:
    return [stage.stop for stage in solution.stages]


def test_one_label_per_node_is_not_optimal() -> None:
    problem = chain(3, [1, 1, 3, 6], [1, 6, 6, 6, 6], [1, 1, 1], [0.5, 1.0])
    best = solve(problem, "paper")
    assert (best.delay_s, cuts(best)) == (38.0, [2, 3, 4])
    found = search(problem, Reading("node", "joint")).solution
    assert (found.delay_s, cuts(found)) == (40.0, [1, 3, 4])
    assert search(problem, Reading("tree", "joint")).solution.delay_s == 38.0


def test_greedy_ratios_are_not_optimal() -> None:
    problem = chain(10, [1, 5], [1, 4, 4], [1, 1], [0.5, 1.0])
    assert search(problem, Reading("tree", "greedy")).solution.delay_s == 75.0
    assert search(problem, Reading("tree", "joint")).solution.delay_s == solve(problem, "paper").delay_s == 59.0


def test_the_heuristic_of_the_popped_node_overestimates() -> None:
    problem = chain(2, [1, 3, 1], [1, 1, 1, 1], [2, 2], [1.0])
    assert solve(problem, "paper").delay_s == 6.5
    assert search(problem, Reading(heuristic="pushed")).solution.delay_s == 6.5
    assert search(problem, Reading(heuristic="popped")).solution.delay_s == 7.5


def test_the_heuristic_needs_the_remaining_satellites_only() -> None:
    # sat1 is a hundred times as fast as those after it, which will do all the rest.
    problem = chain(5, [4, 1, 3, 2, 5, 1, 2, 4], [1] * 9, [100, 1, 1, 1], [1.0])
    remaining, everyone = search(problem, Reading()), search(problem, Reading(heuristic="everyone"))
    assert remaining.solution.delay_s == everyone.solution.delay_s == solve(problem, "paper").delay_s
    assert len(everyone.steps) > len(remaining.steps)


def test_sending_more_is_rewarded() -> None:
    problem = chain(10, [1, 5], [1, 4, 4], [1, 1], [0.5, 1.0])
    paper, exact = solve(problem, "paper"), solve(problem, "exact")
    assert (paper.ratios, exact.ratios) == ((1.0,), (0.5,))
    assert cuts(paper) == cuts(exact)
    # Twice the bytes for nothing: by its own formula faster, in the pipeline slower.
    assert paper.predicted.paper_s < exact.predicted.paper_s
    assert paper.predicted.exact_s == 60.0 > exact.predicted.exact_s == 58.0


def test_the_objective_leaves_out_the_upload() -> None:
    slow_upload = chain(10, [1, 1], [50, 1, 1], [1, 1], [1.0])
    solution = solve(slow_upload, "paper")
    assert solution.delay_s == 4 + 9 * 2
    assert solution.predicted.exact_s == 50 + 4 + 9 * 50


def test_effective_times_are_not_the_pace() -> None:
    # Both resources of sat1 overlap in truth; Eq. 14 lets them follow each other.
    too_slow = solve(chain(100, [5, 5], [1, 5, 1], [1, 1], [1.0]), "paper")
    assert (too_slow.delay_s, too_slow.predicted.exact_s) == (16 + 99 * 10, 17 + 99 * 5)
    # A long transfer before a stage hides that stage's own work.
    too_fast = solve(chain(100, [1, 10], [1, 6, 1], [1, 1], [1.0]), "paper")
    assert (too_fast.delay_s, too_fast.predicted.exact_s) == (18 + 99 * 7, 19 + 99 * 10)


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_the_trace_converges(reading: Reading) -> None:
    problem = chain(10, [3, 1, 4, 1, 5, 9], [2] * 7, [2, 1, 2], [0.5, 1.0])
    found = search(problem, reading)
    best = [step.best_s for step in found.steps]
    assert best == sorted(best, reverse=True)
    assert found.steps[-1].satellites == 3 and found.steps[-1].f_s == pytest.approx(found.solution.delay_s)
    if reading == READINGS[0]:
        bounds = [step.f_s for step in found.steps]
        assert bounds == sorted(bounds)
