"""The proven optimum of T = T_0 + sum(comp + comm) + (B-1) max(T_0, comp, comm).

With the bottleneck capped at theta the rest is a shortest path: f(theta), the least sum of times with every
resource at most theta, is found by dynamic programming over (satellite, cut, setting). f falls as theta
grows, so T can only be beaten below theta by a plan with theta < (best - f(theta)) / (B-1). Walking theta
down by that rule, and always below the bottleneck just found, visits every candidate that could still win and
no other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from satllm_ros.planning.chain import Chain
from satllm_ros.planning.costs import Costs

# Narrowing the smallest feasible bottleneck to 1/32 of its range gives a good plan to start from.
PROBES = 5
# Two plans this close in time are equal: below it lies rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Choice:
    """Boundaries (K+1,), setting indices (K-1,), sum and largest of the resource times of one batch [s]."""

    cuts: tuple[int, ...]
    settings: tuple[int, ...]
    sum_s: float
    bottleneck_s: float


@dataclass(frozen=True)
class Optimum:
    """The best choice, and the least sum of times any feasible choice has, whatever its bottleneck [s]."""

    choice: Choice
    least_sum_s: float


def minimise_exact(costs: Costs, floor_s: float) -> Optimum | None:
    """The choice of least exact makespan, or None if memory allows no choice.

    Parameters
    ----------
    costs
        Tables of the problem; at least as many layers as satellites.
    floor_s
        A time that no choice's bottleneck can be below [s].
    """
    chain = Chain(costs)
    first = _capped(costs, chain, np.inf)
    if first is None:
        return None
    repeats = costs.batches - 1

    def total(choice: Choice) -> float:
        return choice.sum_s + repeats * choice.bottleneck_s

    best, low, high = first, floor_s, first.bottleneck_s
    for _ in range(PROBES if repeats else 0):
        if high <= low * (1 + ROUNDING):
            break
        middle = (low + high) / 2
        found = _capped(costs, chain, middle)
        if found is None:
            low = middle
        else:
            high = min(middle, found.bottleneck_s)
            best = min(best, found, key=total)
    found: Choice | None = first
    while found is not None and repeats:
        # Whatever comes next has at least this sum, so it wins only with a bottleneck below `cap`.
        cap = (total(best) * (1 - ROUNDING) - found.sum_s) / repeats
        cap = min(cap, found.bottleneck_s * (1 - ROUNDING) - 2 * chain.rounding_s)
        if cap < low:
            break
        found = _capped(costs, chain, cap)
        best = best if found is None else min(best, found, key=total)
    return Optimum(best, first.sum_s)


def _capped(costs: Costs, chain: Chain, cap_s: float) -> Choice | None:
    """The choice of least sum among those with no resource above the cap."""
    if max(costs.upload_s, costs.ground_s) > cap_s + chain.rounding_s:
        return None
    path = chain.shortest(cap_s)
    return None if path is None else evaluate(costs, *path)


def evaluate(costs: Costs, cuts: Sequence[int], settings: Sequence[int]) -> Choice:
    """Sum and bottleneck of a given choice."""
    compute, link = costs.stage_times(cuts, settings)
    return Choice(
        cuts=tuple(cuts),
        settings=tuple(settings),
        sum_s=float(costs.upload_s + compute.sum() + link.sum()),
        bottleneck_s=float(max(costs.upload_s, compute.max(), link.max())),
    )
