"""What one would fly without a planner, to compare with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from satllm_ros.planning.problem.problem import Problem, ratios_at_cuts
from satllm_ros.planning.problem.solution import Solution
from satllm_ros.planning.solver.costs import Costs, tabulate
from satllm_ros.planning.solver.optimum import evaluate
from satllm_ros.planning.solver.outcome import solution_of


@dataclass(frozen=True)
class Baseline:
    """One way to split, and the plan it gives; without a plan, why not.

    Attributes
    ----------
    solution
        Not proven to be anything: its gap is to the bound of the problem.
    """

    name: str
    solution: Solution | None
    refusal: str = ""


def baselines(problem: Problem, objective: str = "exact") -> list[Baseline]:
    """Splits that ignore what things cost, each with the strongest compression that accuracy allows.

    `uniform` gives every satellite the same number of layers; `proportional` as many as its speed deserves; `single`
    the whole model to the satellite that serves it best, the others relaying; `two-part` splits between the first
    satellite and the last, the others relaying; `ground only` relays the input through all satellites and does not
    count the time the ground computes. The last three take relaying to be allowed everywhere.
    """
    costs = tabulate(problem, paper=objective == "paper")
    count, layers = costs.satellites, costs.layers
    setting = _strongest(problem, costs)
    speed = 1 / np.maximum(costs.elapsed_s[:, -1], np.finfo(float).tiny)
    one_each = np.ones(count)
    found = [
        _fixed(problem, costs, "uniform", setting, _shares(one_each, layers)),
        _fixed(problem, costs, "proportional", setting, _shares(speed, layers)),
        _best_of(problem, costs, "single", setting, [_alone(k, count, layers) for k in range(count)]),
    ]
    if count > 1:
        ends = [np.array([0, *[cut] * (count - 1), layers]) for cut in range(1, layers)]
        found.append(_best_of(problem, costs, "two-part", setting, ends))
    return [*found, _ground_only(problem, costs)]


def _shares(weights: NDArray[np.float64], layers: int) -> NDArray[np.intp] | None:
    """Cuts that give each at least one layer and come closest to the weights, None with too few layers."""
    count = len(weights)
    if layers < count:
        return None
    cuts = np.round(np.cumsum(weights) / weights.sum() * layers).astype(int)
    low = np.arange(1, count + 1)
    # From the front no satellite may be left out; from the back neither.
    cuts = np.maximum.accumulate(np.maximum(cuts - low, 0)) + low
    cuts = np.minimum(cuts, layers - count + low)
    bounds: NDArray[np.intp] = np.concatenate([[0], cuts])
    return bounds


def _alone(k: int, count: int, layers: int) -> NDArray[np.intp]:
    return np.array([0] * (k + 1) + [layers] * (count - k))


def _strongest(problem: Problem, costs: Costs) -> int | None:
    """The setting of the smallest mean ratio that may be used at every cut, wherever the cuts are."""
    allowed: Sequence[int] = range(len(costs.settings))
    inner = costs.layers - 1
    if costs.loss_budget is not None:
        # As many cuts as there can be, each where it costs most.
        cuts = min(max(costs.satellites - 1, 1), inner)
        worst = np.sort(costs.losses[1:-1], axis=0)[inner - cuts :].sum(axis=0)
        allowed = [q for q in allowed if worst[q] <= costs.loss_budget + 1e-12]
    sizes = ratios_at_cuts(costs.settings, inner).sum(axis=1)
    return min(allowed, key=lambda q: sizes[q], default=None)


def _fixed(problem: Problem, costs: Costs, name: str, setting: int | None, cuts: NDArray[np.intp] | None) -> Baseline:
    if cuts is None:
        return Baseline(name, None, "more satellites than blocks")
    return _best_of(problem, costs, name, setting, [cuts])


def _best_of(
    problem: Problem, costs: Costs, name: str, setting: int | None, splits: list[NDArray[np.intp]]
) -> Baseline:
    inner = [cuts for cuts in splits if setting is not None or not _coded(costs, cuts).any()]
    if not inner:
        return Baseline(name, None, "no setting meets the accuracy")
    fitting = [cuts for cuts in inner if _fits(problem, costs, cuts)]
    if not fitting:
        return Baseline(name, None, "memory is too small")
    choices = [
        evaluate(costs, tuple(map(int, c)), tuple(np.where(_coded(costs, c), setting or 0, 0).tolist()))
        for c in fitting
    ]
    choice = min(choices, key=lambda c: c.sum_s + (costs.batches - 1) * c.bottleneck_s)
    return Baseline(name, solution_of(problem, costs, choice, 0.0, proven=False))


def _coded(costs: Costs, cuts: NDArray[np.intp]) -> NDArray[np.bool_]:
    return (cuts[1:-1] > 0) & (cuts[1:-1] < costs.layers)


def _fits(problem: Problem, costs: Costs, cuts: NDArray[np.intp]) -> bool:
    rows = np.arange(costs.satellites)
    has_layers = cuts[1:] > cuts[:-1]
    return bool((~has_layers | (cuts[:-1] >= costs.first_start[rows, cuts[1:]])).all())


def _ground_only(problem: Problem, costs: Costs) -> Baseline:
    """The input goes down to the ground over every link, and no satellite computes."""
    down = replace(costs, ground_s=8 * problem.model.cut_bytes[0] / problem.links[-1].rate_bps)
    choice = evaluate(down, (0,) * (costs.satellites + 1), (0,) * (costs.satellites - 1))
    return Baseline("ground only", solution_of(problem, down, choice, 0.0, proven=False))
