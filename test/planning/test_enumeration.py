"""The solver of either objective against enumeration, on seeded random problems of every kind.

SATLLM_PLANS sets how many of each; the number that is run without it is what fits a test run.
"""

import math
import os
from typing import Any

import numpy as np
import pytest
from plan_documents import OPTIONS, random_document
from plan_oracle import all_plans, plan_of

from satllm_ros.planning.problem.problem_json import from_json
from satllm_ros.planning.problem.solution import Infeasible, Solution
from satllm_ros.planning.solver.solve import OBJECTIVES, solve

INSTANCES = int(os.environ.get("SATLLM_PLANS", "1000"))


def check(document: dict[str, Any], objective: str) -> bool:
    """The solution equals the best of all plans and says what is true of itself; returns whether there is one."""
    plans, outcome = all_plans(document), solve(from_json(document), objective)
    if not len(plans.cuts):
        assert isinstance(outcome, Infeasible) and outcome.reasons
        return False
    assert isinstance(outcome, Solution) and outcome.proven_optimal
    best = float(plans.value(objective).min())
    assert outcome.delay_s == pytest.approx(best, rel=1e-9, abs=1e-9)
    plan = plan_of(document, outcome)
    assert math.isclose(plan.value(objective)[0], outcome.delay_s, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(plan.exact_s()[0], outcome.predicted.exact_s, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(plan.paper_s()[0], outcome.predicted.paper_s, rel_tol=1e-9, abs_tol=1e-9)
    assert -1e-9 <= outcome.lower_bound_s <= outcome.delay_s and 0 <= outcome.gap <= 1 + 1e-9
    return True


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_equals_enumeration_of_every_plan(objective: str, option: str) -> None:
    rng = np.random.default_rng([OPTIONS.index(option), OBJECTIVES.index(objective)])
    feasible = 0
    for _ in range(INSTANCES):
        document = random_document(rng, option)
        try:
            feasible += check(document, objective)
        except Exception:
            print(document)
            raise
    # Were most of them infeasible, little would have been compared.
    assert feasible > 0.4 * INSTANCES
