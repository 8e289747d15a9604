"""The sums that the losses of the settings at the cuts can add up to, as levels to count in."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from satllm_ros.planning.solver.costs import Costs

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
    kind
        (L+1, Q') which of the D different losses setting q has at cut c; the input and the output lose nothing.
    before
        (D, V) the level from which a loss leads to each level, -1 if there is none.
    start
        Level of no loss.
    within
        (V,) whether a plan may end there.
    exact
        Each level is one true sum; otherwise losses are rounded to multiples of a step.
    """

    kind: NDArray[np.intp]
    before: NDArray[np.intp]
    start: int
    within: NDArray[np.bool_]
    exact: bool

    def earlier(self, cut: int, setting: int, level: int) -> int:
        """The level from which a setting at a cut leads to this one, -1 if there is none."""
        return level if self is NO_BUDGET else int(self.before[self.kind[cut, setting], level])


NO_BUDGET = Levels(np.zeros((1, 1), dtype=int), np.zeros((1, 1), dtype=int), 0, np.ones(1, dtype=bool), True)


def in_units(losses: NDArray[np.float64]) -> NDArray[Any]:
    """Losses of any shape as whole units."""
    return np.round(losses / _UNIT).astype(np.int64)


def limit_units(loss_budget: float, cuts: int) -> int:
    """What the whole units of so many losses may add up to: each of them may be half a unit off."""
    return round(loss_budget / _UNIT) + cuts


def loss_levels(costs: Costs, rounding: Literal["down", "up"]) -> Levels:
    """Levels of the true sums if there are few enough, else of losses rounded to a grid.

    Rounded down, the levels allow every plan that meets the budget, and some that do not; rounded up, only plans
    that meet it. Without a budget there is one level.
    """
    if costs.loss_budget is None:
        return NO_BUDGET
    cuts, most = costs.most_cuts, _most_levels(costs)
    limit = limit_units(costs.loss_budget, cuts)
    losses, kind = _different(in_units(costs.losses))
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
    return _levels(losses, kind, sums, limit, exact)


def least_loss_levels(costs: Costs) -> Levels | None:
    """Levels of the true sums where each cut has the setting that loses least there; None if they are too many."""
    assert costs.loss_budget is not None
    cuts, units = costs.most_cuts, in_units(costs.losses)
    losses, kind = _different(units.min(axis=1, keepdims=True))
    limit = limit_units(costs.loss_budget, cuts)
    sums = _sums(losses, cuts, limit, _most_levels(costs))
    if sums is None:
        return None
    levels = _levels(losses, kind, sums, limit, False)
    # One kind more, which leads nowhere, for all other settings.
    other = np.arange(units.shape[1]) != units.argmin(axis=1)[:, None]
    nowhere = np.full((1, len(sums)), -1)
    kind = np.where(other, len(losses), levels.kind)
    return replace(levels, kind=kind, before=np.concatenate([levels.before, nowhere]))


def _most_levels(costs: Costs) -> int:
    return max(_MAX_STATES // (costs.satellites * costs.losses.size), _LEAST_LEVELS)


def _different(units: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The different values of (L+1, Q') losses, rising, and which of them each is."""
    values, kind = np.unique(units, return_inverse=True)
    return values, kind.reshape(units.shape)


def _levels(
    losses: NDArray[np.int64], kind: NDArray[np.intp], sums: NDArray[np.int64], limit: int, exact: bool
) -> Levels:
    earlier = sums[None, :] - losses[:, None]
    before = np.minimum(np.searchsorted(sums, earlier), len(sums) - 1)
    start = int(np.searchsorted(sums, 0))
    return Levels(kind, np.where(sums[before] == earlier, before, -1), start, sums <= limit, exact)


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
