"""The simple splits, by hand and beside the optimum."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from plan_documents import random_document

from satllm_ros.planning.paper.baselines import Baseline, baselines
from satllm_ros.planning.problem.problem_json import from_json
from satllm_ros.planning.solver.solve import OBJECTIVES, solve


def chain(layers: int = 6, speeds: Sequence[float] = (1, 2, 3), memory: int = 6) -> dict[str, Any]:
    return {
        "batches": 10,
        "model": {"layer_flops": [6] * layers, "layer_memory_bytes": [1] * layers, "cut_bytes": [8] + [1] * layers},
        "satellites": [
            {"name": f"sat{k + 1}", "flops_per_s": speed, "memory_bytes": memory} for k, speed in enumerate(speeds)
        ],
        "links": [{"rate_bps": 8}] * (len(speeds) + 1),
        "compression": {"ratios": [0.5, 1.0], "accuracy": [[0, 0], [1, 1]], "accuracy_min": 0.5},
    }


def layers_of(found: list[Baseline]) -> dict[str, list[int]]:
    return {one.name: [s.stop - s.start for s in one.solution.stages] for one in found if one.solution}


def test_baselines_by_hand() -> None:
    found = baselines(from_json(chain()))
    split = layers_of(found)
    assert split["uniform"] == [2, 2, 2] and split["proportional"] == [1, 2, 3] and split["single"] == [0, 0, 6]
    assert split["two-part"] == [1, 0, 5] and split["ground only"] == [0, 0, 0]
    delay = {one.name: one.solution.delay_s for one in found}
    assert delay["proportional"] == 8 + 3 * 6 + 0.5 * 2 + 1 + 9 * 8
    # The input over the upload, both links and the downlink, the output over none.
    assert delay["ground only"] == 4 * 8 + 9 * 8
    # Two relays pass the input on as it is.
    assert delay["single"] == 3 * 8 + 12 + 1 + 9 * 12


def test_baselines_that_cannot_fly_say_why() -> None:
    refusals = {one.name: one.refusal for one in baselines(from_json(chain(layers=2, memory=1)))}
    assert refusals["uniform"] == refusals["proportional"] == "more satellites than blocks"
    assert refusals["single"] == "memory is too small" and refusals["ground only"] == ""
    document = chain()
    document["compression"] = {"ratios": [0.5], "accuracy": [[0, 0], [1, 1]], "accuracy_min": 0.9}
    refusals = {one.name: one.refusal for one in baselines(from_json(document))}
    assert refusals["uniform"] == refusals["two-part"] == "no setting meets the accuracy"
    assert refusals["single"] == ""


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_no_baseline_beats_the_plan(objective: str) -> None:
    rng, compared = np.random.default_rng(3), 0
    for option in ("free", "costs", "budget", "memory", "cuts", "cut losses") * 25:
        problem = from_json(random_document(rng, option))
        outcome = solve(problem, objective)
        for one in baselines(problem, objective):
            # The others let satellites relay, which these problems do not.
            if one.solution is not None and one.name in ("uniform", "proportional"):
                assert outcome.feasible and one.solution.delay_s >= outcome.delay_s * (1 - 1e-9)
                compared += 1
    assert compared > 50
