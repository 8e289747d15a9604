"""What no plan can beat, even with layers that could be divided at will."""

from satllm_ros.planning.costs import Costs
from satllm_ros.planning.problem import Problem


def bottleneck_floor_s(problem: Problem, costs: Costs) -> float:
    """A time that some resource needs for every batch, whatever the plan [s].

    The largest of: T_0 and comm_K, which are fixed; each inter-satellite link at the cut and setting that
    suit it best; and all layers spread over all satellites without loss. For the last, any weights w with sum
    1 give max_k comp_k >= sum_k w_k comp_k >= sum_l min_k w_k t_kl. With w proportional to the satellites'
    speeds this is FLOPs / sum of speeds when times come from FLOPs.
    """
    layer_s = problem.layer_seconds()
    size = costs.layers - costs.satellites + 1
    floors = [costs.upload_s, costs.ground_s]
    floors += [float(costs.link_s[k, k + 1 : k + 1 + size].min()) for k in range(costs.satellites - 1)]
    totals = layer_s.sum(axis=1)
    if totals.min() > 0:
        weights = totals.min() / totals
        floors.append(float((layer_s * (weights / weights.sum())[:, None]).min(axis=0).sum()))
    return max(floors)
