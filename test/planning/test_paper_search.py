"""The paper's search in its readings, on random problems, and what it refuses."""

from collections.abc import Iterator

import numpy as np
import pytest
from plan_documents import random_document

from satllm_ros.planning.paper.paper_search import READINGS, Reading, search
from satllm_ros.planning.problem.problem import Problem
from satllm_ros.planning.problem.problem_json import from_json
from satllm_ros.planning.solver.solve import solve


def problems(number: int, seed: int) -> Iterator[Problem]:
    rng = np.random.default_rng(seed)
    while number:
        document = random_document(rng, "cuts" if number % 3 == 0 else "free")
        if "loss_budget" not in document["compression"]:
            number -= 1
            yield from_json(document)


def test_the_tree_with_joint_ratios_is_optimal_and_no_reading_beats_it() -> None:
    worse = dict.fromkeys(READINGS, 0)
    for problem in problems(150, seed=5):
        best = solve(problem, "paper")
        for reading in READINGS:
            found = search(problem, reading).solution
            assert (found is not None) == best.feasible
            if found is not None:
                assert found.delay_s >= best.delay_s * (1 - 1e-9)
                worse[reading] += found.delay_s > best.delay_s * (1 + 1e-9)
    assert worse[Reading("tree", "joint")] == 0
    assert worse[Reading("tree", "greedy")] > 0 and worse[Reading("node", "greedy")] > 0


def test_what_the_paper_does_not_have_is_refused() -> None:
    document = random_document(np.random.default_rng(1), "relays")
    document["satellites"][0]["may_relay"] = True
    with pytest.raises(ValueError, match="no relays and no loss budget"):
        search(from_json(document), READINGS[0])


def test_too_many_combinations_and_steps_are_refused() -> None:
    count, layers = 6, 12
    document = {
        "batches": 8,
        "model": {"layer_flops": [1] * layers, "layer_memory_bytes": [1] * layers, "cut_bytes": [1] * (layers + 1)},
        "satellites": [{"name": f"sat{k}", "flops_per_s": 1, "memory_bytes": layers} for k in range(count)],
        "links": [{"rate_bps": 8}] * (count + 1),
        "compression": {
            "ratios": [round(0.05 * i, 2) for i in range(1, 21)],
            "accuracy": [[0, 0.9], [1, 1]],
            "accuracy_min": 0.5,
        },
    }
    with pytest.raises(ValueError, match="20 ratios at 5 cuts make 3,200,000 combinations; allowed: 200,000"):
        search(from_json(document), Reading("tree", "joint"))
    with pytest.raises(ValueError, match="takes more than 10 steps"):
        search(from_json(document), Reading("tree", "greedy"), max_steps=10)
