"""From a choice of cuts and settings to everything a plan says of itself."""

import numpy as np
from numpy.typing import NDArray

from satllm_ros.planning.problem.problem import Problem
from satllm_ros.planning.problem.solution import Bottleneck, Predicted, SatelliteLoad, Solution, StagePlan
from satllm_ros.planning.solver.costs import Costs, memory_before
from satllm_ros.planning.solver.delay import effective_times, exact_makespan, paper_makespan, resource_times
from satllm_ros.planning.solver.optimum import Choice

# What goes over a link that carries the input or the output, which no setting applies to.
AS_IS = "as it is"


def solution_of(problem: Problem, costs: Costs, choice: Choice, bound_s: float, *, proven: bool) -> Solution:
    """A plan with its prediction.

    Parameters
    ----------
    bound_s
        What no plan's delay can be below, without propagation [s].
    proven
        No plan is better than this one.
    """
    compute, link = costs.stage_times(choice.cuts, choice.settings)
    times = resource_times(costs.upload_s, compute, link)
    exact_s = exact_makespan(costs.upload_s, compute, link, costs.batches, costs.propagation_s)
    paper_s = paper_makespan(compute, link, costs.batches)
    if costs.paper:
        delay_s, bottleneck = paper_s, _slowest_stage(problem, compute, link)
    else:
        delay_s, bound_s = exact_s, bound_s + costs.propagation_s
        slowest = int(times.argmax())
        bottleneck = Bottleneck(resource_names(problem)[slowest], float(times[slowest]))
    bound_s = min(bound_s, delay_s)
    pace_s = float(times.max())
    held = memory_before(problem)
    spans = list(zip(choice.cuts[:-1], choice.cuts[1:], strict=True))
    chosen = [
        (costs.settings[q].name, costs.settings[q].ratio_at(cut)) if 0 < cut < costs.layers else (AS_IS, 1.0)
        for cut, q in zip(choice.cuts[1:-1], choice.settings, strict=True)
    ]
    return Solution(
        objective="paper" if costs.paper else "exact",
        delay_s=delay_s,
        stages=tuple(
            StagePlan(s.name, start, stop) for s, (start, stop) in zip(problem.satellites, spans, strict=True)
        ),
        settings=tuple(name for name, _ in chosen),
        ratios=tuple(ratio for _, ratio in chosen),
        bottleneck=bottleneck,
        lower_bound_s=bound_s,
        gap=(delay_s - bound_s) / delay_s if delay_s > 0 else 0.0,
        proven_optimal=proven,
        predicted=Predicted(exact_s, paper_s),
        accuracy_loss=costs.loss(choice.cuts, choice.settings),
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


def _slowest_stage(problem: Problem, compute: NDArray[np.float64], link: NDArray[np.float64]) -> Bottleneck:
    effective = effective_times(compute, link)
    slowest = int(effective.argmax())
    return Bottleneck(problem.satellites[slowest].name, float(effective[slowest]))


def resource_names(problem: Problem) -> list[str]:
    """(2K+1,) names of the resources in the order a batch meets them: link 0, satellite 1, link 1, ..."""
    names = [s.name for s in problem.satellites]
    ends = ["the source", *names, "the ground"]
    links = [f"link {k} ({ends[k]} to {ends[k + 1]})" for k in range(len(names) + 1)]
    return [links[0]] + [n for pair in zip(names, links[1:], strict=True) for n in pair]
