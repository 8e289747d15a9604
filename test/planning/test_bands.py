"""Where satellites can stop, against every plan that there is."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plan_documents import OPTIONS, random_document
from plan_oracle import all_plans

from satllm_ros.planning.problem.problem_json import from_json
from satllm_ros.planning.solver.bands import Reach
from satllm_ros.planning.solver.costs import tabulate
from satllm_ros.planning.solver.delay import effective_times


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 2**32 - 1),
    option=st.sampled_from(OPTIONS),
    share=st.floats(0, 1),
    paper=st.booleans(),
)
def test_no_plan_under_a_cap_lies_outside(seed: int, option: str, share: float, paper: bool) -> None:
    document = random_document(np.random.default_rng(seed), option)
    plans = all_plans(document)
    assume(len(plans.cuts))
    bottleneck_s = np.array(
        [
            (effective_times(compute_s, link_s) if paper else np.maximum(compute_s, link_s)).max()
            for compute_s, link_s in zip(plans.compute_s, plans.link_s, strict=True)
        ]
    )
    cap_s = float(np.quantile(bottleneck_s, share, method="nearest")) * (1 + 1e-9) + 1e-12
    bands = Reach(tabulate(from_json(document), paper=paper)).bands(cap_s)
    assert bands is not None, "there is a plan under the cap"
    low, high = np.array(bands).T
    under = plans.cuts[bottleneck_s <= cap_s]
    assert (under >= low).all() and (under <= high).all()


def equal_layers(satellites: int, layers: int, memory: int) -> Reach:
    """Satellites that take a second a layer and hold so many."""
    document = {
        "batches": 1,
        "model": {"layer_flops": [1] * layers, "layer_memory_bytes": [1] * layers, "cut_bytes": [0] * (layers + 1)},
        "satellites": [{"name": f"sat{k}", "memory_bytes": memory, "flops_per_s": 1} for k in range(satellites)],
        "links": [{"rate_bps": 1}] * (satellites + 1),
        "compression": {"ratios": [1.0], "accuracy": [[0.1, 0.5], [1.0, 1.0]], "accuracy_min": 0.0},
    }
    return Reach(tabulate(from_json(document)))


@pytest.mark.parametrize("by_memory", [False, True], ids=["by time", "by memory"])
@given(satellites=st.integers(1, 5), more=st.integers(0, 10), most=st.integers(1, 15))
def test_bands_of_equal_layers_are_as_narrow_as_can_be(by_memory: bool, satellites: int, more: int, most: int) -> None:
    layers = satellites + more
    reach = equal_layers(satellites, layers, most if by_memory else layers)
    bands = reach.bands(np.inf if by_memory else most + 0.5)
    if satellites * most < layers:
        assert bands is None
        return
    # Each runs one layer at least and `most` at most, counted from either end.
    assert bands == [
        (max(k, layers - (satellites - k) * most), min(layers - (satellites - k), k * most))
        for k in range(satellites + 1)
    ]
