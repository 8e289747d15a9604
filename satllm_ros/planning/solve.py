"""From a problem to a plan, or to the reasons why there is none."""

from satllm_ros.planning.bound import bottleneck_floor_s
from satllm_ros.planning.costs import Costs, memory_before, tabulate, undominated, usable_settings
from satllm_ros.planning.delay import exact_makespan, paper_makespan, resource_times
from satllm_ros.planning.exact import Optimum, minimise_exact
from satllm_ros.planning.infeasible import reasons
from satllm_ros.planning.problem import Problem
from satllm_ros.planning.solution import (
    Bottleneck,
    Infeasible,
    Predicted,
    SatelliteLoad,
    Solution,
    StagePlan,
)

OBJECTIVES = ("exact",)


def solve(problem: Problem, objective: str = "exact") -> Solution | Infeasible:
    """Find the split and the compression settings of least delay, proven.

    The objective is T = T_0 + sum(comp_k + comm_k) + (B-1) max(T_0, comp_k, comm_k) + propagation, with
    decoding and encoding in comp. Every satellite runs at least one layer, stages are contiguous, the layers'
    bytes plus overhead fit its memory, and every cut's setting meets the accuracy floor.

    Raises
    ------
    ValueError
        If the objective is unknown.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"objective is {objective!r}; allowed: {', '.join(OBJECTIVES)}")
    usable = usable_settings(problem)
    if len(problem.satellites) > problem.model.layers or (len(problem.satellites) > 1 and not usable):
        return Infeasible(objective, tuple(reasons(problem)))
    costs = tabulate(problem, undominated(usable))
    floor_s = bottleneck_floor_s(problem, costs)
    optimum = minimise_exact(costs, floor_s)
    if optimum is None:
        return Infeasible(objective, tuple(reasons(problem)))
    return _solution(problem, objective, costs, optimum, floor_s)


def _solution(problem: Problem, objective: str, costs: Costs, optimum: Optimum, floor_s: float) -> Solution:
    choice = optimum.choice
    compute, link = costs.stage_times(choice.cuts, choice.settings)
    delay_s = exact_makespan(costs.upload_s, compute, link, costs.batches, costs.propagation_s)
    bound_s = optimum.least_sum_s + (costs.batches - 1) * floor_s + costs.propagation_s
    bound_s = min(bound_s, delay_s)
    times = resource_times(costs.upload_s, compute, link)
    slowest = int(times.argmax())
    pace_s = float(times[slowest])
    held = memory_before(problem)
    spans = list(zip(choice.cuts[:-1], choice.cuts[1:], strict=True))
    chosen = [costs.settings[q] for q in choice.settings]
    return Solution(
        objective=objective,
        delay_s=delay_s,
        stages=tuple(
            StagePlan(s.name, start, stop) for s, (start, stop) in zip(problem.satellites, spans, strict=True)
        ),
        settings=tuple(s.name for s in chosen),
        ratios=tuple(s.ratio for s in chosen),
        bottleneck=Bottleneck(resource_names(problem)[slowest], pace_s),
        lower_bound_s=bound_s,
        gap=(delay_s - bound_s) / delay_s if delay_s > 0 else 0.0,
        proven_optimal=True,
        predicted=Predicted(delay_s, paper_makespan(compute, link, costs.batches)),
        satellites=tuple(
            SatelliteLoad(
                name=s.name,
                compute_s=float(busy),
                busy_s=float(busy) * costs.batches,
                slack=1 - float(busy) / pace_s if pace_s > 0 else 0.0,
                memory_bytes=float(held[stop] - held[start] + s.memory_overhead_bytes),
                memory_budget_bytes=s.memory_bytes,
            )
            for s, busy, (start, stop) in zip(problem.satellites, compute, spans, strict=True)
        ),
        link_s=(costs.upload_s, *(float(t) for t in link)),
    )


def resource_names(problem: Problem) -> list[str]:
    """(2K+1,) names of the resources in the order a batch meets them: link 0, satellite 1, link 1, ..."""
    names = [s.name for s in problem.satellites]
    ends = ["the source", *names, "the ground"]
    links = [f"link {k} ({ends[k]} to {ends[k + 1]})" for k in range(len(names) + 1)]
    return [links[0]] + [n for pair in zip(names, links[1:], strict=True) for n in pair]
