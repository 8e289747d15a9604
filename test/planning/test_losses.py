"""Counting losses, and what happens when there are too many sums to count."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from plan_documents import random_document
from plan_oracle import all_plans, plan_of

from satllm_ros.planning.problem.problem import Link, Problem
from satllm_ros.planning.problem.problem_json import from_json
from satllm_ros.planning.solver import losses
from satllm_ros.planning.solver.costs import tabulate
from satllm_ros.planning.solver.losses import loss_levels
from satllm_ros.planning.solver.solve import solve


def chain(accuracies: Sequence[float], budget: float, count: int = 4) -> Problem:
    return from_json(
        {
            "batches": 8,
            "model": {"layer_flops": [1] * 6, "layer_memory_bytes": [1] * 6, "cut_bytes": [1] * 7},
            "satellites": [{"name": f"sat{k}", "flops_per_s": 1, "memory_bytes": 6} for k in range(count)],
            "links": [{"rate_bps": 8}] * (count + 1),
            "compression": {
                "settings": [{"name": f"s{i}", "ratio": (i + 1) / 10, "accuracy": a} for i, a in enumerate(accuracies)],
                "loss_budget": budget,
            },
        }
    )


def test_levels_are_the_sums_of_three_cuts() -> None:
    costs = tabulate(chain([0.97, 0.99, 1.0], 0.05))
    levels = loss_levels(costs, "down")
    # 0 to 0.03 in steps of 0.01 from three mild cuts, and one or none strong one with up to two mild ones.
    assert levels.exact and levels.within.tolist() == [True] * 6
    strong = [s.accuracy for s in costs.settings].index(0.97)
    assert levels.before[levels.kind[1, strong]].tolist() == [-1, -1, -1, 0, 1, 2]


def test_decimal_losses_meet_their_sum() -> None:
    # 0.1 + 0.1 + 0.1 is more than 0.3 in doubles.
    outcome = solve(chain([0.9, 1.0], 0.3))
    assert outcome.ratios == (0.1, 0.1, 0.1) and outcome.accuracy_loss == pytest.approx(0.3)
    assert solve(chain([0.9, 1.0], 0.2999)).ratios.count(0.1) == 2


def test_a_cut_where_little_is_lost_is_worth_a_detour() -> None:
    document = chain([0.9, 1.0], 0.0, count=2)
    strong = replace(document.compression.settings[0], loss=[0.1, 0.1, 0.1, 0.1, 0.0])
    mild = replace(document.compression.settings[1], ratio=1.0)
    offered = replace(document.compression, settings=[strong, mild])
    outcome = solve(replace(document, links=[Link(8), Link(0.01), Link(8)], compression=offered))
    assert outcome.stages[0].stop == 5 and outcome.settings == ("s0",) and outcome.accuracy_loss == 0


def test_a_budget_that_no_cut_keeps_names_the_settings_of_the_best_cuts() -> None:
    document = chain([0.9, 0.95], 0.03, count=3)
    first, second = (replace(s, loss=[0.1] * 5) for s in document.compression.settings)
    settings = [replace(first, loss=[0.02, 0.1, 0.1, 0.1, 0.1]), replace(second, loss=[0.1, 0.1, 0.1, 0.1, 0.03])]
    whole = replace(document, compression=replace(document.compression, settings=settings))
    (reason,) = solve(whole).reasons
    assert reason.sentence == "2 cuts lose at least 0.05 of accuracy with s0, s1, more than the budget 0.03"
    assert reason.relaxation.startswith("raise loss_budget to 0.05,")
    roomier = replace(whole.compression, loss_budget=0.05)
    assert [s.stop for s in solve(replace(whole, compression=roomier)).stages] == [1, 5, 6]


def test_too_many_sums_are_rounded_and_never_break_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "_MAX_STATES", 1)
    monkeypatch.setattr(losses, "_LEAST_LEVELS", 4)
    rng, unproven, rounded = np.random.default_rng(2), 0, 0
    for _ in range(900):
        document = random_document(rng, str(rng.choice(["budget", "relays", "cut losses", "cut losses"])))
        if "loss_budget" not in document["compression"]:
            continue
        outcome, plans = solve(from_json(document)), all_plans(document)
        assert outcome.feasible == bool(len(plans.cuts))
        if outcome.feasible:
            best = plans.exact_s().min()
            plan_of(document, outcome)
            assert outcome.lower_bound_s <= best * (1 + 1e-9) and outcome.delay_s >= best * (1 - 1e-9)
            if outcome.proven_optimal:
                assert outcome.delay_s == pytest.approx(best)
            unproven += not outcome.proven_optimal
            rounded += not loss_levels(tabulate(from_json(document)), "down").exact
    assert unproven > 0 and rounded > 10
