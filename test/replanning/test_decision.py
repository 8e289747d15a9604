"""What another split gains, and what moving to it costs."""

import math
from dataclasses import replace

import pytest
from flight_facts import BLOCK_BYTES, BLOCKS, make_facts, shares
from hypothesis import given, settings
from hypothesis import strategies as st

from satllm_ros.planning.problem.problem import Link, Setting
from satllm_ros.planning.problem.solution import Solution
from satllm_ros.replanning.decision import evaluate, predicted_s
from satllm_ros.replanning.drift import drift
from satllm_ros.replanning.flight import LinkFacts, SatelliteFacts
from satllm_ros.replanning.selection import best_selection

EVEN = shares(("sat1", 3), ("sat2", 6))
UNEVEN = shares(("sat1", 5), ("sat2", 6))


def rate(satellite: str) -> float:
    """100 bytes a second: a block a second."""
    return 100.0


# Solving takes longer than hypothesis waits where other processes run.
@settings(deadline=None)
@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=4), st.integers(1, 50), st.floats(1e3, 1e9))
def test_what_is_predicted_of_a_solution_is_what_the_solver_predicts(
    block_s: list[float], batches: int, rate_bps: float
) -> None:
    link = Link(rate_bps, 0.01)
    facts = make_facts(
        *block_s,
        batches=batches,
        links=LinkFacts(link, link, link),
        settings=[Setting("raw", 1.0, 0.9), Setting("int8", (0.3, 0.2, 0.25, 0.1, 0.4), 0.89, 1e-6, 2e-6)],
    )
    _, outcome = best_selection(facts)
    assert isinstance(outcome, Solution)
    settings = [*outcome.settings, "raw"]
    split = [
        share._replace(setting=setting)
        for share, setting in zip(
            shares(*[(stage.satellite, stage.stop) for stage in outcome.stages]), settings, strict=True
        )
    ]
    assert predicted_s(facts, split) == pytest.approx(outcome.predicted.exact_s)


def test_a_slowed_satellite_makes_moving_worth_it_and_both_figures_are_told() -> None:
    decision = evaluate(make_facts(1.0, 4.0), EVEN, UNEVEN, rate)
    # 12 s a batch before, 5 s after.
    assert decision.gain_s == pytest.approx(15 + 19 * 12 - (9 + 19 * 5), rel=1e-3)
    assert (decision.cost_s, decision.blocks, decision.drained, decision.is_worth_it) == (5.0, 2, (), True)
    assert decision.sentence("plan 1.2") == (
        f"leave plan 1.2: a new split gains {decision.gain_s:.3g} s over 20 batches, moving 2 blocks costs 5 s"
    )


def test_the_same_gain_over_few_batches_does_not_pay() -> None:
    decision = evaluate(make_facts(1.0, 1.5, batches=1), EVEN, shares(("sat1", 4), ("sat2", 6)), rate)
    assert not decision.is_worth_it
    assert decision.sentence("plan 1.2") == (
        "stay with plan 1.2: a new split would gain 0.5 s over 1 batch, moving 1 block costs 4 s"
    )


def test_a_drain_costs_one_way_through_the_line_more() -> None:
    facts = make_facts(1.0, 1.0, memory_bytes=5 * BLOCK_BYTES)
    decision = evaluate(facts, EVEN, UNEVEN, rate)
    assert decision.drained == ("sat1",) and decision.cost_s == pytest.approx(5.0 + 6.0, rel=1e-3)
    assert decision.sentence("plan 1.1").endswith(", with a drain for sat1")


def test_a_plan_that_no_longer_fits_is_left_at_any_cost() -> None:
    facts = make_facts(1.0, 1.0)
    facts = replace(facts, satellites=[SatelliteFacts("sat1", 1.0, 2 * BLOCK_BYTES), facts.satellites[1]])
    decision = evaluate(facts, EVEN, shares(("sat1", 1), ("sat2", 6)), rate)
    assert decision.is_worth_it and decision.gain_s == math.inf
    assert decision.sentence("plan 1.1").startswith(
        "leave plan 1.1: sat1 no longer has the memory for its blocks; moving"
    )


def test_other_settings_alone_cost_nothing() -> None:
    decision = evaluate(make_facts(1.0, 1.0), EVEN, shares(("sat1", 3), ("sat2", 6), setting="raw"), rate)
    assert (decision.cost_s, decision.blocks) == (0.0, 0)


@given(st.floats(0.01, 10), st.floats(0.01, 10), st.integers(1, 5), st.integers(1, 5))
def test_going_there_and_back_is_never_worth_it_both_ways(first_s: float, second_s: float, one: int, two: int) -> None:
    facts = make_facts(first_s, second_s)
    here, there = (shares(("sat1", stop), ("sat2", BLOCKS)) for stop in (one, two))
    assert not (evaluate(facts, here, there, rate).is_worth_it and evaluate(facts, there, here, rate).is_worth_it)


def rates(links: LinkFacts, names: list[str]) -> list[float]:
    """Of the links that a chain of these uses."""
    ends = ["", *names, ""]
    return [links.of(sender, receiver).rate_bps for sender, receiver in zip(ends[:-1], ends[1:], strict=True)]


def test_links_known_singly_count_singly() -> None:
    facts = make_facts(1.0, 1.0, 1.0)
    slow = replace(facts, links=replace(facts.links, measured={("sat1", "sat3"): Link(1.0), ("", "sat1"): Link(2.0)}))
    names = ["sat1", "sat2", "sat3"]
    assert rates(slow.links, names) == [2.0, 1e9, 1e9, 1e9]
    assert rates(slow.links, ["sat1", "sat3"]) == [2.0, 1.0, 1e9]
    stated = replace(facts.links, stated={("sat1", "sat3"): Link(3.0), ("", "sat1"): Link(4.0)})
    assert rates(stated, ["sat1", "sat3"]) == [4.0, 3.0, 1e9]
    both = replace(stated, measured=slow.links.measured)
    assert rates(both, ["sat1", "sat3"]) == [2.0, 1.0, 1e9]
    split = shares(("sat1", 3), ("sat3", 6))
    assert predicted_s(slow, split) > predicted_s(facts, split) + 100


def test_drift_names_what_changed_beyond_the_band() -> None:
    before = make_facts(1.0, 1.0)
    assert drift(before, make_facts(1.05, 0.95)) == ""
    assert drift(before, make_facts(1.0)) == ""
    assert drift(before, make_facts(4.0, 1.0)) == "sat1 takes 4 s a block, it was 1 s"
    assert drift(before, make_facts(1.0, 1.0, 1.0)) == "sat3 can be planned with"
    assert drift(before, make_facts(1.0, 1.0, memory_bytes=5e5)).startswith("sat1 may use 500,000 bytes, it was 1,000")
    slow = replace(before, links=replace(before.links, measured={("sat2", ""): Link(1e6)}))
    assert drift(before, slow) == "link sat2 to the ground carries 1e+06 bit/s, it was 1e+09 bit/s"
    assert drift(slow, before) == ""
    stated = replace(before, links=replace(before.links, stated={("sat2", ""): Link(1e6)}))
    assert drift(stated, replace(stated, links=replace(stated.links, measured={("sat2", ""): Link(1e6)}))) == ""


@given(st.floats(0.001, 100), st.floats(0.96, 1.04), st.floats(0.96, 1.04))
def test_jitter_is_no_drift(block_s: float, one: float, other: float) -> None:
    assert drift(make_facts(block_s * one), make_facts(block_s * other)) == ""
