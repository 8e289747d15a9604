"""What the benchmark programs compute: predictions for a plan that flew, and curves of the paper's search."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from flight_facts import make_facts

from satllm_ros.constellation.file import load_constellation
from satllm_ros.planning.paper.paper_search import READINGS, search
from satllm_ros.planning.problem.problem import Link, Setting
from satllm_ros.planning.problem.solution import Solution
from satllm_ros.planning.solver.solve import solve
from satllm_ros.replanning.decision import Assignment, predicted_s
from satllm_ros.replanning.flight import LinkFacts
from satllm_ros.replanning.selection import best_selection

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
from flown_cases import CASES, TILES  # noqa: E402
from flown_makespan import predicted, row_of, table  # noqa: E402
from planner_speed import random_problem  # noqa: E402
from search_convergence import curves, draw, shortened  # noqa: E402

PLAN = (("sat1", 0, 2, "int8"), ("sat3", 2, 6, "raw"))


def small_facts() -> Any:
    """Three satellites behind links that matter, and a codec that costs time."""
    link = Link(1e4, 0.01)
    settings = [Setting("raw", 1.0, 0.9), Setting("int8", 0.25, 0.89, 1e-3, 2e-3)]
    return make_facts(0.5, 0.7, 0.25, links=LinkFacts(link, link, link), settings=settings, batches=50, batch_tiles=10)


def summary(**changes: Any) -> dict[str, Any]:
    """The parts of a summary that a row is made from."""
    return {
        "complete": True,
        "tiles": {"sent": TILES, "received": TILES},
        "makespan_s": {"measured": 1000.0, "predicted_exact": 900.0, "ideal": 950.0},
        "satellites": [{"utilisation_real": 0.25}, {"utilisation_real": None}],
        "hops": [{"q": 0.26}],
        "gaps": [],
    } | changes


def test_a_given_plan_is_predicted_by_hand() -> None:
    facts = small_facts()
    # 1,600 bytes at the cut; 10 tiles of 100 bytes and the envelope up, 2 classes of 4 bytes and the envelope down.
    upload_s, link_s, down_s = 8 * 1390 / 1e4, 8 * 400 / 1e4, 8 * 470 / 1e4
    first_s, second_s = 10 * 0.5 * 2 + 1.6, 10 * 0.25 * 4 + 3.2
    both_s = first_s + second_s + link_s + down_s
    found = predicted(facts, PLAN).predicted
    assert found.exact_s == pytest.approx(upload_s + both_s + 49 * second_s + 3 * 0.01)
    # Eq. 14: first stage computes and then sends, the second hides what it receives.
    assert found.paper_s == pytest.approx(both_s + 49 * max(first_s + link_s, second_s + down_s - link_s))
    assert found.exact_s == pytest.approx(predicted_s(facts, [Assignment(*stage) for stage in PLAN]))


def test_the_plan_that_the_planner_makes_is_predicted_as_the_planner_does() -> None:
    facts = small_facts()
    _, outcome = best_selection(facts)
    assert isinstance(outcome, Solution)
    settings = [*outcome.settings, "raw"]
    stages = [(s.satellite, s.start, s.stop, q) for s, q in zip(outcome.stages, settings, strict=True)]
    assert predicted(facts, stages).predicted == outcome.predicted


def test_a_setting_that_was_not_offered_is_refused() -> None:
    with pytest.raises(ValueError):
        predicted(small_facts(), (("sat1", 0, 2, "klt:14"), ("sat3", 2, 6, "raw")))


def test_a_row_has_the_errors_against_what_was_measured() -> None:
    row = row_of(CASES[0], small_facts(), [PLAN], summary(), 0.5)
    assert row.exact_error == row.exact_s / 1000.0 - 1 and row.paper_error == row.paper_s / 1000.0 - 1
    assert (row.split, row.settings, row.processor) == ([2, 4], ["int8"], 0.25)
    assert (row.ratios, row.flown_ratios) == ([0.25], [0.26])
    text = table([row], "heading")
    assert f"{row.exact_s:.2f} s ({row.exact_error:+.1%})" in text and "900.00 s (-10.0%)" in text
    assert f"exact: median {abs(row.exact_error):.2%}" in text


def test_what_the_recorder_missed_is_unknown_and_not_zero() -> None:
    makespan_s = {"measured": 1000.0, "predicted_exact": None, "ideal": None}
    row = row_of(CASES[0], small_facts(), [PLAN], summary(makespan_s=makespan_s, gaps=["a gap"]), 0.5)
    assert (row.announced_s, row.ideal_s, row.processor, row.gaps) == (None, None, None, ["a gap"])
    text = table([row], "heading")
    assert "| unknown |" in text and "announced:" not in text


@pytest.mark.parametrize(
    ("plans", "changes"),
    [([PLAN, PLAN], {}), ([], {}), ([PLAN], {"complete": False}), ([PLAN], {"tiles": {"sent": 490, "received": 490}})],
)
def test_what_cannot_be_compared_gives_no_row(plans: list[Any], changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=CASES[0].name):
        row_of(CASES[0], small_facts(), plans, summary(**changes), 0.0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_is_a_constellation_of_full_batches(case: Any, tmp_path: Path) -> None:
    path = tmp_path / "constellation.yaml"
    path.write_text(yaml.safe_dump(case.constellation()))
    constellation = load_constellation(path)
    assert len(constellation.satellites) == len(case.block_ms)
    assert TILES % constellation.batch_tiles == 0


def test_the_cases_differ() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 12
    assert len({(c.block_ms, c.codecs, c.mbps, c.batch_tiles, c.upload) for c in CASES}) == len(CASES)


def test_the_first_satellites_have_the_memory_of_all() -> None:
    problem = random_problem(5, 12, False, np.random.default_rng(0))
    short = shortened(problem, 2)
    assert [s.name for s in short.satellites] == ["sat1", "sat2"]
    assert short.links == (*problem.links[:2], problem.links[-1])
    whole_bytes = [sum(s.memory_bytes for s in p.satellites) for p in (problem, short)]
    assert whole_bytes[1] == pytest.approx(whole_bytes[0])
    assert shortened(problem, 5) == problem


def test_the_curves_meet_where_the_search_ends() -> None:
    problem = random_problem(3, 12, False, np.random.default_rng(0))
    optimum = solve(problem, "paper")
    found = [search(problem, reading) for reading in READINGS]
    for one in found:
        step, bound_s, best_s = curves(one)
        assert len(step) == len(bound_s) == len(best_s) == len(one.steps) and np.isnan(best_s[0])
        assert bound_s[-1] == best_s[-1] == pytest.approx(one.solution.delay_s)
    figure = draw(found, {3: found[2]}, optimum.delay_s, problem, 7)
    left = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert [label.split(":")[0] for label in left[:4]] == list(map(str, READINGS))
    assert "seed 7" in figure.get_suptitle() and "L = 12" in figure.get_suptitle()
