"""The solver against enumeration of every split and setting, with what solutions and reasons say of themselves."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_oracle import Plans, all_plans, plan_of

from satllm_ros.planning.problem.problem_json import from_json
from satllm_ros.planning.problem.solution import Infeasible, Solution
from satllm_ros.planning.solver.delay import effective_times
from satllm_ros.planning.solver.solve import OBJECTIVES, solve

SOLVED = json.loads((Path(__file__).parent / "data" / "solved_instances.json").read_text())


def vary_by_cut(draw: st.DrawFn, offered: list[dict[str, Any]], scale: float, inner: int) -> None:
    """Some ratios and losses are stated cut by cut, a gain among the losses now and then."""
    ratio = st.sampled_from([0.05, 0.5, 1.0]) if scale == "ties" else st.floats(0.01, 1)
    loss = st.sampled_from([-0.05, 0.0, 0.05, 0.1]) if scale == "ties" else st.floats(-0.05, 0.2)
    for setting in offered:
        if draw(st.booleans()):
            setting["ratio"] = draw(st.lists(ratio, min_size=inner, max_size=inner))
        if draw(st.booleans()):
            setting["loss"] = draw(st.one_of(loss, st.lists(loss, min_size=inner, max_size=inner)))


@st.composite
def documents(
    draw: st.DrawFn, max_satellites: int = 4, min_layers: int = 1, max_layers: int = 7, max_settings: int = 3
) -> dict[str, Any]:
    """Small problems; few distinct values make ties, tight memory makes some infeasible."""
    # Long chains more often than short ones, which leave little to choose.
    layers = max(draw(st.integers(min_layers, max_layers)), draw(st.integers(min_layers, max_layers)))
    count = min(layers, draw(st.sampled_from([*range(max_satellites, 1, -1)] * 2 + [1])))
    scale = draw(st.sampled_from(["ties", "spread"]))
    work = st.integers(0, 3) if scale == "ties" else st.floats(0, 50)
    rate = st.sampled_from([4, 8, 16]) if scale == "ties" else st.floats(0.5, 200)

    def several(values: st.SearchStrategy[Any], number: int) -> list[Any]:
        return draw(st.lists(values, min_size=number, max_size=number))

    memory = several(st.integers(0, 4), layers)
    roomy = sum(memory) * 2 // count + 1
    satellites, tight = [], draw(st.sampled_from([False, False, True]))
    relays = draw(st.sampled_from([False, False, True]))
    for k in range(count):
        budget = draw(st.integers(roomy // 2, roomy)) if tight else roomy + sum(memory)
        satellite = {"name": f"sat{k + 1}", "memory_bytes": budget}
        if draw(st.booleans()):
            satellite["layer_s"] = several(work, layers)
        else:
            satellite["flops_per_s"] = draw(st.sampled_from([0.5, 1, 2, 3]))
        if draw(st.booleans()):
            satellite["memory_overhead_bytes"] = draw(st.integers(0, 2))
        if relays and draw(st.booleans()):
            satellite["may_relay"] = True
        satellites.append(satellite)
    if draw(st.booleans()):
        cut_bytes = several(work, layers + 1)
    else:
        cut_bytes = [draw(work)] * (layers + 1)
    links = [{"rate_bps": r} for r in several(rate, count + 1)]
    if draw(st.booleans()):
        links[-1]["propagation_s"] = draw(st.floats(0, 5))
    if draw(st.booleans()):
        compression = {
            "ratios": several(st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0]), draw(st.integers(1, max_settings))),
            "accuracy": [[0.1, 0.5], [1.0, 1.0]],
            "accuracy_min": draw(st.sampled_from([0.0, 0.6, 0.75, 0.6, 1.0])),
        }
    else:
        cost = st.sampled_from([0, 0.1, 0.5, 1]) if scale == "ties" else st.floats(0.01, 1)
        compression = {
            "settings": [
                {
                    "name": f"s{i}",
                    "ratio": draw(st.sampled_from([0.05, 0.25, 0.5, 1.0])),
                    "encode_s_per_byte": draw(cost),
                    "decode_s_per_byte": draw(cost),
                    "accuracy": draw(st.sampled_from([0.95, 0.9, 0.7])),
                }
                for i in range(draw(st.sampled_from(range(max_settings, 0, -1))))
            ],
            "accuracy_min": draw(st.sampled_from([0.7, 0.9])),
        }
        vary_by_cut(draw, compression["settings"], scale, layers - 1)
    if draw(st.sampled_from([False, False, True])):
        del compression["accuracy_min"]
        compression["loss_budget"] = draw(st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5, 0.9]))
    return {
        "batches": draw(st.sampled_from([1, 2, 5, 64, 10_000])),
        "model": {"layer_flops": several(work, layers), "layer_memory_bytes": memory, "cut_bytes": cut_bytes},
        "satellites": satellites,
        "links": links,
        "compression": compression,
    }


def check_solution(document: dict[str, Any], outcome: Solution, plans: Plans, objective: str) -> None:
    """A solution is the optimum, and what it says of itself is true."""
    best = plans.value(objective).min()
    assert outcome.delay_s == pytest.approx(best, rel=1e-9, abs=1e-9) and outcome.objective == objective
    assert outcome.proven_optimal
    plan = plan_of(document, outcome)
    assert outcome.delay_s == pytest.approx(plan.value(objective)[0])
    assert outcome.predicted.exact_s == pytest.approx(plan.exact_s()[0])
    assert outcome.predicted.paper_s == pytest.approx(plan.paper_s()[0])
    compute, link = plan.compute_s[0], plan.link_s[0]
    if objective == "exact":
        assert outcome.bottleneck.seconds == pytest.approx(max(plan.upload_s, *compute, *link))
    else:
        assert outcome.bottleneck.seconds == pytest.approx(effective_times(compute, link).max())
    assert [s.compute_s for s in outcome.satellites] == pytest.approx(compute)
    assert outcome.link_s == pytest.approx((plan.upload_s, *link))
    assert 0 <= outcome.lower_bound_s <= outcome.delay_s
    assert 0 <= outcome.gap <= 1


def check_infeasible(document: dict[str, Any], outcome: Infeasible) -> None:
    """The reasons are real: with the relaxations there is a plan, a byte short of them there is none."""
    assert outcome.reasons
    relaxed, short = copy.deepcopy(document), None
    for reason in outcome.reasons:
        if reason.constraint == "accuracy":
            field, value = re.search(r"(accuracy_min|loss_budget) to ([\d.]+)", reason.relaxation).groups()
            relaxed["compression"][field] = float(value)
    for reason in outcome.reasons:
        if reason.constraint == "memory":
            whom, lack = re.fullmatch(r"give (.+) ([\d,]+) bytes? more memory", reason.relaxation).groups()
            short = copy.deepcopy(relaxed)
            for satellite, other in zip(relaxed["satellites"], short["satellites"], strict=True):
                if whom in (satellite["name"], "every satellite"):
                    satellite["memory_bytes"] += int(lack.replace(",", ""))
                    other["memory_bytes"] += int(lack.replace(",", "")) - 1
    assert solve(from_json(relaxed)).feasible
    assert short is None or not solve(from_json(short)).feasible


def check(document: dict[str, Any], objective: str = "exact") -> None:
    plans, outcome = all_plans(document), solve(from_json(document), objective)
    if not len(plans.cuts):
        assert isinstance(outcome, Infeasible)
        check_infeasible(document, outcome)
    else:
        assert isinstance(outcome, Solution)
        check_solution(document, outcome, plans, objective)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), st.sampled_from(OBJECTIVES))
def test_equals_enumeration(document: dict[str, Any], objective: str) -> None:
    check(document, objective)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(documents(max_satellites=3, min_layers=15, max_layers=30, max_settings=2), st.sampled_from(OBJECTIVES))
def test_equals_enumeration_of_many_layers(document: dict[str, Any], objective: str) -> None:
    check(document, objective)


def test_times_among_the_smallest_of_doubles_end() -> None:
    document = copy.deepcopy(SOLVED[0]["problem"])
    document["model"]["layer_flops"] = [5e-324] * 6
    document["model"]["cut_bytes"] = [0] * 7
    check(document)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("instance", SOLVED, ids=[instance["id"] for instance in SOLVED])
def test_solved_instances(instance: dict[str, Any], objective: str) -> None:
    document, expected = instance["problem"], instance["expected"][objective]
    outcome = solve(from_json(document), objective)
    assert outcome.feasible == expected["feasible"]
    if outcome.feasible:
        assert outcome.delay_s == pytest.approx(expected["delay_s"])
        check_solution(document, outcome, all_plans(document), objective)


def test_objective_must_be_known() -> None:
    with pytest.raises(ValueError, match="objective is 'fastest'; allowed: exact, paper"):
        solve(from_json(SOLVED[0]["problem"]), "fastest")
