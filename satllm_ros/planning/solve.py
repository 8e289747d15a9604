"""From a problem to a plan, or to the reasons why there is none."""

from satllm_ros.planning.bound import bottleneck_floor_s
from satllm_ros.planning.costs import Costs, tabulate
from satllm_ros.planning.infeasible import reasons
from satllm_ros.planning.losses import least_loss_levels, loss_levels
from satllm_ros.planning.optimum import Choice, Optimum, evaluate, minimise
from satllm_ros.planning.outcome import solution_of
from satllm_ros.planning.problem import Problem
from satllm_ros.planning.solution import Infeasible, Solution

OBJECTIVES = ("exact", "paper")


def solve(problem: Problem, objective: str = "exact") -> Solution | Infeasible:
    """Find the split and the compression settings of least delay, proven.

    The objective is T = T_0 + sum(comp_k + comm_k) + (B-1) max(T_0, comp_k, comm_k) + propagation, with
    decoding and encoding in comp; or, for `paper`, Eq. 13a with Eq. 14 and overlap_1 = 0. Stages are contiguous, the
    layers' bytes plus overhead fit each memory, every satellite that may not relay runs at least one layer, and
    every cut's setting meets the accuracy floor, or all of them together the loss budget.

    Raises
    ------
    ValueError
        If the objective is unknown.
    ProblemError
        If the problem is too large.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"objective is {objective!r}; allowed: {', '.join(OBJECTIVES)}")
    must = sum(not s.may_relay for s in problem.satellites)
    no_room = any(s.memory_overhead_bytes > s.memory_bytes for s in problem.satellites)
    if must > problem.model.layers or no_room:
        return Infeasible(objective, tuple(reasons(problem)))
    costs = tabulate(problem, paper=objective == "paper")
    floor_s = bottleneck_floor_s(problem, costs)
    optimum, proven = _minimise(costs, floor_s)
    if optimum is None:
        return Infeasible(objective, tuple(reasons(problem)))
    bound_s = optimum.least_sum_s + (costs.batches - 1) * floor_s
    return solution_of(problem, costs, optimum.choice, bound_s, proven=proven)


def _minimise(costs: Costs, floor_s: float) -> tuple[Optimum | None, bool]:
    """The optimum, and whether it is proven: with countless sums of losses it can fail to be."""
    levels = loss_levels(costs, "down")
    relaxed = minimise(costs, levels, floor_s)
    if relaxed is None or levels.exact or _meets_budget(costs, relaxed.choice):
        return relaxed, True
    strict = minimise(costs, loss_levels(costs, "up"), floor_s)
    if strict is None:
        # The setting that loses least leaves room where rounding up did not, if anything does.
        strict = minimise(costs, least_loss_levels(costs), floor_s)
    if strict is None:
        return None, True
    return Optimum(strict.choice, relaxed.least_sum_s), _delay(costs, strict) <= _delay(costs, relaxed) * (1 + 1e-12)


def _meets_budget(costs: Costs, choice: Choice) -> bool:
    return costs.loss_budget is None or costs.loss(choice.cuts, choice.settings) <= costs.loss_budget


def _delay(costs: Costs, optimum: Optimum) -> float:
    choice = evaluate(costs, optimum.choice.cuts, optimum.choice.settings)
    return choice.sum_s + (costs.batches - 1) * choice.bottleneck_s
