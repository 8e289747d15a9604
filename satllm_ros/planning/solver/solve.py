"""From a problem to a plan, or to the reasons why there is none."""

from satllm_ros.planning.problem.problem import Problem
from satllm_ros.planning.problem.solution import Infeasible, Solution
from satllm_ros.planning.solver.bound import bottleneck_floor_s
from satllm_ros.planning.solver.costs import Costs, tabulate
from satllm_ros.planning.solver.infeasible import reasons
from satllm_ros.planning.solver.losses import least_loss_levels, limit_units, loss_levels
from satllm_ros.planning.solver.optimum import Choice, Optimum, evaluate, minimize
from satllm_ros.planning.solver.outcome import solution_of
from satllm_ros.planning.solver.splits import least_loss_split

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
    optimum, proven = _minimize(problem, costs, floor_s)
    if optimum is None:
        return Infeasible(objective, tuple(reasons(problem)))
    bound_s = optimum.least_sum_s + (costs.batches - 1) * floor_s
    return solution_of(problem, costs, optimum.choice, bound_s, proven=proven)


def _minimize(problem: Problem, costs: Costs, floor_s: float) -> tuple[Optimum | None, bool]:
    """The optimum, and whether it is proven: with countless sums of losses it can fail to be."""
    levels = loss_levels(costs, "down")
    relaxed = minimize(costs, levels, floor_s)
    if relaxed is None or levels.exact or _meets_budget(costs, relaxed.choice):
        return relaxed, True
    strict = minimize(costs, loss_levels(costs, "up"), floor_s)
    choice = _least_loss(problem, costs, floor_s) if strict is None else strict.choice
    if choice is None:
        return None, True
    return Optimum(choice, relaxed.least_sum_s), _delay(costs, choice) <= _delay(costs, relaxed.choice) * (1 + 1e-12)


def _least_loss(problem: Problem, costs: Costs, floor_s: float) -> Choice | None:
    """A choice of settings that lose least, which leave room where rounding up did not, if anything does.

    The best of those if their sums can be counted, else one that loses least in all.
    """
    levels = least_loss_levels(costs)
    if levels is not None:
        found = minimize(costs, levels, floor_s)
        return None if found is None else found.choice
    lost_units, cuts = least_loss_split(problem)
    if lost_units > limit_units(problem.compression.loss_budget or 0.0, problem.most_cuts):
        return None
    return evaluate(costs, cuts, costs.losses[list(cuts[1:-1])].argmin(axis=1).tolist())


def _meets_budget(costs: Costs, choice: Choice) -> bool:
    return costs.loss_budget is None or costs.loss(choice.cuts, choice.settings) <= costs.loss_budget


def _delay(costs: Costs, choice: Choice) -> float:
    return choice.sum_s + (costs.batches - 1) * choice.bottleneck_s
