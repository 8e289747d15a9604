"""Splits that memory allows, whatever they cost in time."""

import math

import numpy as np
from numpy.typing import NDArray

from satllm_ros.planning.problem.problem import Problem
from satllm_ros.planning.solver.costs import memory_before
from satllm_ros.planning.solver.losses import in_units


def fewest_stages(problem: Problem) -> int:
    """The least number of satellites that have layers in any split that memory allows; 0 if there is none."""
    stages, _ = cheapest_split(problem, np.ones(problem.model.layers + 1))
    return int(stages) if math.isfinite(stages) else 0


def cheapest_split(problem: Problem, price: NDArray[np.float64]) -> tuple[float, tuple[int, ...]]:
    """The split of least price of those that memory allows.

    Parameters
    ----------
    price
        (L+1,) what it costs that a satellite with layers stops at each cut; relays cost nothing.

    Returns
    -------
    total, cuts
        Its price and boundaries (K+1,); inf and none if memory allows no split.
    """
    layers = problem.model.layers
    held = memory_before(problem)
    starts = np.arange(layers + 1)
    total = np.full(layers + 1, math.inf)
    total[0] = 0.0
    came = []
    for satellite in problem.satellites:
        free = satellite.memory_bytes - satellite.memory_overhead_bytes
        fits = (held[None, :] - held[:, None] <= free) & (starts[:, None] < starts)
        ways = np.where(fits, total[:, None] + price, math.inf)
        if satellite.may_relay and free >= 0:
            np.fill_diagonal(ways, total)
        came.append(ways.argmin(axis=0))
        total = ways.min(axis=0)
    if not math.isfinite(total[-1]):
        return math.inf, ()
    cuts = [layers]
    for before in reversed(came):
        cuts.append(int(before[cuts[-1]]))
    return float(total[-1]), tuple(reversed(cuts))


def least_loss_split(problem: Problem) -> tuple[float, tuple[int, ...]]:
    """What the split that loses least accuracy loses [units of losses], and its boundaries (K+1,).

    Every cut has the setting that loses least there. If memory allows no split, inf and none.
    """
    price = np.zeros(problem.model.layers + 1)
    # In whole units, as the solver adds them.
    price[1:-1] = in_units(problem.losses().min(axis=0))
    return cheapest_split(problem, price)
