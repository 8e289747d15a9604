"""What no plan can beat, even with layers that could be divided at will."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from satllm_ros.planning.problem.problem import Problem
from satllm_ros.planning.solver.costs import Costs


def bottleneck_floor_s(problem: Problem, costs: Costs) -> float:
    """A time that the slowest stage or resource needs for every batch, whatever the plan [s].

    The largest of: what is fixed (the link to the ground, and T_0 in the exact law); each inter-satellite link at
    the cut and setting that suit it best; and all layers spread over all satellites without loss. For the last, any
    weights w with sum 1 give max_k x_k >= sum_k w_k x_k; with x = comp and w proportional to the satellites' speeds
    this is FLOPs / sum of speeds when times come from FLOPs. Under Eq. 14, x_k >= comp_k + comm_k - comm_{k-1},
    and the links enter with whatever sign the weights leave them.
    """
    layer_s = problem.layer_seconds()
    least, most = _links(costs, np.min, np.inf), _links(costs, np.max, -np.inf)
    floors = [costs.ground_s, *least]
    if not costs.paper:
        floors.append(costs.upload_s)
    totals = layer_s.sum(axis=1)
    if totals.min() > 0:
        weights = totals.min() / totals
        weights = weights / weights.sum()
        spread = float((layer_s * weights[:, None]).min(axis=0).sum())
        if costs.paper:
            gains = weights[:-1] - weights[1:]
            spread += float(np.where(gains > 0, gains * least, gains * most).sum() + weights[-1] * costs.ground_s)
        floors.append(spread)
    return float(max(floors))


def _links(costs: Costs, extreme: Callable[[NDArray[np.float64]], float], neutral: float) -> NDArray[np.float64]:
    """(K-1,) least or largest time of each inter-satellite link over the cuts it could carry."""
    must = np.concatenate([[0], np.cumsum(~costs.relays)])
    times = np.where(costs.allowed, costs.link_s, neutral)
    last = costs.layers - must[-1] + 1
    found = [extreme(times[k - 1, must[k] : last + must[k]]) for k in range(1, costs.satellites)]
    # Where no setting is allowed there is no plan, and any floor is true.
    return np.nan_to_num(np.array(found), posinf=0.0, neginf=0.0)
