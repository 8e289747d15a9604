"""The sums that the losses of the settings at the cuts can add up to, as levels to count in."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from satllm_ros.planning.costs import Costs

# Losses are counted in whole units of this, so that sums are equal in whatever order they are added.
_UNIT = 1e-12
# Tables over (satellite, cut, setting, level) take 8 bytes for each of these.
_MAX_STATES = 8_000_000
_LEAST_LEVELS = 64


@dataclass(frozen=True)
class Levels:
    """Loss so far, as a level.

    Attributes
    ----------
    step
        (Q, V) level after one more cut with setting q, -1 if the budget does not allow it; one-to-one for each q.
    start
        Level of no loss.
    within
        (V,) whether a plan may end there.
    exact
        Each level is one true sum; otherwise losses are rounded to multiples of a step.
    """

    step: NDArray[np.intp]
    start: int
    within: NDArray[np.bool_]
    exact: bool

    def before(self, setting: int, level: int) -> int:
        """The level from which a setting leads to this one, -1 if there is none."""
        if self is NO_BUDGET:
            return level
        found = np.flatnonzero(self.step[setting] == level)
        return int(found[0]) if len(found) else -1


NO_BUDGET = Levels(np.zeros((1, 1), dtype=int), 0, np.ones(1, dtype=bool), True)


def loss_levels(costs: Costs, rounding: Literal["down", "up"]) -> Levels:
    """Levels of the true sums if there are few enough, else of losses rounded to a grid.

    Rounded down, the levels allow every plan that meets the budget, and some that do not; rounded up, only plans
    that meet it. Without a budget there is one level.
    """
    if costs.loss_budget is None:
        return NO_BUDGET
    cuts = min(costs.satellites, costs.layers) - 1
    states = costs.satellites * (costs.layers + 1) * len(costs.losses)
    most = max(_MAX_STATES // states, _LEAST_LEVELS)
    losses = np.round(costs.losses / _UNIT).astype(np.int64)
    # Each loss may be half a unit off.
    limit = round(costs.loss_budget / _UNIT) + cuts
    sums = _sums(losses, cuts, limit, most)
    exact = sums is not None
    if sums is None:
        steps = most // 2
        share = losses * (steps / limit)
        losses = (np.floor(share + 1e-9) if rounding == "down" else np.ceil(share - 1e-9)).astype(np.int64)
        limit = steps
        # Whole numbers, of which no more than this fit between what can be gained and the limit.
        sums = _sums(losses, cuts, limit, steps + 1 + 2 * cuts * max(0, -int(losses.min())))
    assert sums is not None
    after = sums[None, :] + losses[:, None]
    step = np.minimum(np.searchsorted(sums, after), len(sums) - 1)
    return Levels(np.where(sums[step] == after, step, -1), int(np.searchsorted(sums, 0)), sums <= limit, exact)


def least_loss_levels(costs: Costs) -> Levels:
    """Levels that count cuts, all of them with the setting that loses least."""
    assert costs.loss_budget is not None
    counts = np.arange(costs.satellites)
    best = int(np.argmin(costs.losses))
    step = np.full((len(costs.losses), len(counts)), -1)
    step[best, :-1] = counts[1:]
    return Levels(step, 0, counts * costs.losses[best] <= costs.loss_budget + _UNIT * len(counts), False)


def _sums(losses: NDArray[np.int64], cuts: int, limit: int, most: int) -> NDArray[np.int64] | None:
    """Sums of up to `cuts` losses that can still end within the limit, rising; None if there are too many."""
    sums: NDArray[np.int64] = np.zeros(1, dtype=np.int64)
    gain = max(0, -int(losses.min()))
    for count in range(1, cuts + 1):
        more = (sums[:, None] + losses).ravel()
        merged = np.union1d(sums, more[more <= limit + gain * (cuts - count)])
        if len(merged) > most:
            return None
        sums = merged
    return sums
