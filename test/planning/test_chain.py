"""The shortest way under a cap, against every plan that there is."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plan_documents import OPTIONS, random_document
from plan_oracle import all_plans

from satllm_ros.planning.problem.problem_json import from_json
from satllm_ros.planning.solver.chain import Chain
from satllm_ros.planning.solver.costs import tabulate
from satllm_ros.planning.solver.delay import effective_times
from satllm_ros.planning.solver.losses import loss_levels


@settings(deadline=None, max_examples=300)
@given(seed=st.integers(0, 2**32 - 1), option=st.sampled_from(OPTIONS), paper=st.booleans())
def test_the_least_sum_of_times_under_each_cap(seed: int, option: str, paper: bool) -> None:
    rng = np.random.default_rng(seed)
    document = random_document(rng, option)
    plans = all_plans(document)
    assume(len(plans.cuts))
    costs = tabulate(from_json(document), paper=paper)
    levels = loss_levels(costs, "down")
    assume(levels.exact)
    chain = Chain(costs, levels)
    sums_s = plans.compute_s.sum(axis=1) + plans.link_s.sum(axis=1)
    bottleneck_s = np.array(
        [
            (effective_times(compute_s, link_s) if paper else np.maximum(compute_s, link_s)).max()
            for compute_s, link_s in zip(plans.compute_s, plans.link_s, strict=True)
        ]
    )
    # Just above and well below what some plans take, and none at all.
    some_s = np.sort(rng.choice(bottleneck_s, 4))
    caps_s = np.array([*(some_s * (1 + 1e-9) + 1e-9), bottleneck_s.min() * 0.9 - 1e-6, np.inf])
    caps_s = np.sort(caps_s[caps_s > 0])
    widest = chain.bands(np.inf)
    assert widest is not None
    for finite in (caps_s[:-1], caps_s[-1:]):
        # Bands of the highest cap and all there are must give the same.
        own = chain.bands(float(finite.max())) if finite.size else None
        for bands in [widest] if own is None else [widest, own]:
            for cap_s, path in zip(finite, chain.shortest(finite, bands), strict=True):
                under = sums_s[bottleneck_s <= cap_s]
                assert (path is None) == (under.size == 0), cap_s
                if path is None:
                    continue
                compute_s, link_s = costs.stage_times(*path)
                took_s = effective_times(compute_s, link_s) if paper else np.maximum(compute_s, link_s)
                assert took_s.max() <= cap_s * (1 + 1e-9) + 1e-9
                np.testing.assert_allclose(compute_s.sum() + link_s.sum(), under.min(), rtol=1e-9, atol=1e-9)


def test_work_grows_with_the_bands() -> None:
    costs = tabulate(from_json(random_document(np.random.default_rng(4), "costs")))
    chain = Chain(costs, loss_levels(costs, "down"))
    widest = chain.bands(np.inf)
    assert widest is not None and costs.satellites > 1
    assert 0 < chain.work([(low, low) for low, _ in widest]) < chain.work(widest)
