"""The proven optimum of (sum of times) + (B-1) (bottleneck), for either law.

With the bottleneck capped at theta the rest is a shortest path: f(theta), the least sum of times with every
resource at most theta, is found by dynamic programming. f falls as theta grows. So once f(x) is known, with a plan
of bottleneck b <= x, every plan with a bottleneck in (b, x] is as good as that one at best, and a plan below b can win
only with a bottleneck under (best - f(x)) / (B-1). Ranges of bottlenecks that could still hold a better plan are kept
in a list and cut down by that rule until none is left; what then is best is the optimum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satllm_ros.planning.solver.chain import Chain
from satllm_ros.planning.solver.costs import Costs
from satllm_ros.planning.solver.losses import Levels

# Caps tried at once where the arrays of one are too small to be worth a call.
CAPS = 6
_WORK = 100_000
# Two plans this close in time are equal: below it lies rounding.
ROUNDING = 1e-12
_BISECTIONS = 12
# As parts of the way from where the satellites can reach to the bottleneck of the least sum of times.
_FIRST_CAPS = (1e-9, 0.01, 0.05)


@dataclass(frozen=True)
class Choice:
    """Boundaries (K+1,), setting indices (K-1,), sum and largest of the times that count, of one batch [s]."""

    cuts: tuple[int, ...]
    settings: tuple[int, ...]
    sum_s: float
    bottleneck_s: float


@dataclass(frozen=True)
class Optimum:
    """The best choice, and the least sum of times any feasible choice has, whatever its bottleneck [s]."""

    choice: Choice
    least_sum_s: float


@dataclass(frozen=True)
class _Range:
    """Bottlenecks in (low, high]; every plan with one of them has at least this sum of times [s]."""

    low_s: float
    high_s: float
    least_sum_s: float


def minimize(costs: Costs, levels: Levels, floor_s: float) -> Optimum | None:
    """The choice of least delay, or None if there is no choice.

    Parameters
    ----------
    costs
        Tables of the problem.
    levels
        How the losses of the settings add up.
    floor_s
        A time that no choice's bottleneck can be below [s].
    """
    chain = Chain(costs, levels)
    everywhere = chain.bands(np.inf)
    if everywhere is None:
        return None
    (path,) = chain.shortest(np.array([np.inf]), everywhere)
    if path is None:
        return None
    first = evaluate(costs, *path)
    return Optimum(_Search(costs, chain, first, floor_s).best(), first.sum_s)


class _Search:
    def __init__(self, costs: Costs, chain: Chain, first: Choice, floor_s: float) -> None:
        self._costs, self._chain = costs, chain
        self._repeats = costs.batches - 1
        self._best = first
        self._first, self._floor_s = first, floor_s
        # Link 0 and the link to the ground are not part of the recursion.
        self._fixed_s = costs.ground_s if costs.paper else max(costs.upload_s, costs.ground_s)

    def _total(self, choice: Choice) -> float:
        return choice.sum_s + self._repeats * choice.bottleneck_s

    def best(self) -> Choice:
        if not self._repeats:
            return self._best
        low_s = self._lowest_reach()
        whole = _Range(low_s, self._below(self._first.bottleneck_s), self._first.sum_s)
        # Most optima lie just above the least feasible bottleneck.
        span = max(whole.high_s - low_s, 0.0)
        ranges = self._explore([whole], [low_s + span * np.array(_FIRST_CAPS)])
        while ranges:
            together = self._together(max(one.high_s for one in ranges))
            caps = [self._caps(one, max(together // len(ranges), 1)) for one in ranges[:together]]
            ranges = self._open(self._explore(ranges[:together], caps) + ranges[together:])
        return self._best

    def _together(self, cap_s: float) -> int:
        bands = self._chain.bands(cap_s)
        return CAPS if bands is None else int(np.clip(_WORK // self._chain.work(bands), 1, CAPS))

    def _lowest_reach(self) -> float:
        """A cap below which some satellite cannot stop anywhere."""
        low, high = max(self._floor_s, self._fixed_s) * (1 - ROUNDING), self._first.bottleneck_s
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            if self._chain.bands(middle) is None:
                low = middle
            else:
                high = middle
        return low

    def _below(self, bottleneck_s: float) -> float:
        return bottleneck_s * (1 - ROUNDING) - 2 * self._chain.rounding_s

    @staticmethod
    def _caps(one: _Range, count: int) -> NDArray[np.float64]:
        parts = np.arange(1, count + 1) / count
        # Over a wide range the sum of times changes most at its lower end.
        parts = parts**3 if one.high_s > 1.05 * one.low_s else parts
        return one.low_s + (one.high_s - one.low_s) * parts

    def _explore(self, ranges: list[_Range], caps: list[NDArray[np.float64]]) -> list[_Range]:
        """Try caps (rising within each range) and return what is left of the ranges."""
        tried = np.concatenate(caps)
        bands = self._chain.bands(float(tried.max()))
        paths = [None] * len(tried) if bands is None else self._chain.shortest(tried, bands)
        found = [None if path is None else evaluate(self._costs, *path) for path in paths]
        self._best = min([self._best, *(c for c in found if c is not None)], key=self._total)
        left, position = [], 0
        for one, own in zip(ranges, caps, strict=True):
            low, high, least = one.low_s, one.high_s, one.least_sum_s
            # From the highest cap down: each leaves the part above it, and itself down to its plan's bottleneck.
            for at in reversed(range(len(own))):
                cap, choice = float(own[at]), found[position + at]
                left.append(_Range(cap, high, least))
                if choice is None:
                    low = high = cap
                    break
                high, least = min(high, cap, self._below(choice.bottleneck_s)), choice.sum_s
            left.append(_Range(low, high, least))
            position += len(own)
        return self._open(left)

    def _open(self, ranges: list[_Range]) -> list[_Range]:
        """The ranges, narrowed to what can still beat the best plan known."""
        kept = []
        for one in ranges:
            limit = (self._total(self._best) * (1 - ROUNDING) - one.least_sum_s) / self._repeats
            high = min(one.high_s, limit)
            if high > one.low_s:
                kept.append(_Range(one.low_s, high, one.least_sum_s))
        return kept


def evaluate(costs: Costs, cuts: Sequence[int], settings: Sequence[int]) -> Choice:
    """Sum and bottleneck of a given choice."""
    compute, link = costs.stage_times(cuts, settings)
    total, worst = float(compute.sum() + link.sum()), float(link.max())
    if costs.paper:
        worst = max(worst, float((compute + link - np.minimum(compute, np.append(0.0, link[:-1]))).max()))
    else:
        total, worst = costs.upload_s + total, max(worst, costs.upload_s, float(compute.max()))
    return Choice(cuts=tuple(cuts), settings=tuple(settings), sum_s=total, bottleneck_s=worst)
