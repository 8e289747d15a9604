"""Shortest way of one batch through the chain when no resource may take longer than a cap, for many caps at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satllm_ros.planning.solver.bands import Bands, Reach
from satllm_ros.planning.solver.costs import Costs
from satllm_ros.planning.solver.losses import NO_BUDGET, Levels
from satllm_ros.planning.solver.window import least_above, smallest_in_windows

Path = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class _Stage:
    """One satellite's part of the recursion, over cuts 0..L and settings.

    With E the elapsed time, comp = (E[stop] + encode) - (E[start] - decode). So "comp <= cap" is
    "relief >= load - cap", and the cost so far is (cost before - saved) + spent. Under Eq. 14 what must stay below
    the cap is the link itself and comp + link - link before, so load holds the one link and relief the other.
    """

    saved_s: NDArray[np.float64]  # (L+1, S)
    relief_s: NDArray[np.float64]  # (L+1, S), or (L+1, 1) if all settings are alike in it
    load_s: NDArray[np.float64]  # (L+1, T), or (L+1, 1)
    spent_s: NDArray[np.float64]  # (L+1, T)
    link_s: NDArray[np.float64]  # (L+1, T), inf where the setting is not allowed
    first: NDArray[np.intp]  # (L+1,) smallest start that memory allows
    longest: int  # most layers that memory allows
    relay: bool


class Chain:
    """The recursion over (satellite, cut, setting, loss level), its tables made once and used for many caps.

    Arrays of costs so far are (C, V, n, S): caps, levels, cuts of the band, settings.
    """

    def __init__(self, costs: Costs, levels: Levels) -> None:
        self.satellites, self.layers = costs.satellites, costs.layers
        self.levels = levels
        # (V, L+1, S): the level that each cost comes from.
        self._earlier = np.moveaxis(levels.before[levels.kind], 2, 0)
        self.reach = Reach(costs)
        self.stages = [_stage(costs, k) for k in range(costs.satellites)]
        scale = max(max(np.abs(s.load_s).max(), np.abs(s.relief_s).max()) for s in self.stages)
        # Differences of elapsed times are off by this much, and must not make a cap look exceeded. Never zero, so
        # that a cap taken below it makes progress even among the smallest of doubles.
        self.rounding_s = 8 * np.finfo(float).eps * float(scale) + float(np.finfo(float).tiny)

    def bands(self, cap_s: float) -> Bands | None:
        """Where each satellite can stop under a cap, None if nowhere."""
        return self.reach.bands(cap_s + self.rounding_s)

    def work(self, bands: Bands) -> int:
        """About how many pairs of starts and stops one cap makes `shortest` look at."""
        pairs = 0
        for stage, (low, high) in zip(self.stages, bands[1:], strict=True):
            width, groups = high - low + 1, stage.relief_s.shape[1]
            pairs += width * (1 if groups == 1 else groups * min(width, stage.longest))
        return pairs * len(self.levels.within)

    def shortest(self, caps_s: NDArray[np.float64], bands: Bands) -> list[Path | None]:
        """For each cap the cuts (K+1,) and setting indices (K-1,) of the least sum of times.

        None where every way exceeds the cap. The bands must be those of the highest cap, or wider.
        """
        caps = np.asarray(caps_s, dtype=float) + self.rounding_s
        shape = (len(caps), len(self.levels.within), 1, self.stages[0].saved_s.shape[1])
        cost: NDArray[np.float64] = np.full(shape, np.inf)
        cost[:, self.levels.start, 0, 0] = 0.0
        before = []
        for k, stage in enumerate(self.stages):
            before.append(cost)
            cost = self._advance(stage, cost, bands[k][0], bands[k + 1], caps)
        ends = np.where(self.levels.within, cost[:, :, -1, 0], np.inf)
        found: list[Path | None] = []
        for c, level in enumerate(ends.argmin(axis=1)):
            path = self._walk_back(before, bands, c, int(level), caps[c]) if np.isfinite(ends[c, level]) else None
            found.append(path)
        return found

    def _advance(
        self, stage: _Stage, cost: NDArray[np.float64], low: int, band: tuple[int, int], caps: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        high, stops = low + cost.shape[2] - 1, slice(band[0], band[1] + 1)
        starts = slice(low, high + 1)
        value = cost - stage.saved_s[starts]
        relief, load = stage.relief_s[starts], stage.load_s[stops]
        first = np.maximum(stage.first[stops], low) - low
        last = np.minimum(np.arange(band[0], band[1] + 1) - 1, high) - low
        if np.isinf(caps).all():
            ahead = smallest_in_windows(value.min(axis=3), first[None, :, None], last[None, :, None])
        else:
            if relief.shape[1] == 1:
                value = value.min(axis=3, keepdims=True)
            ahead = least_above(value, relief, load - caps[:, None, None], first, last)
        link = stage.link_s[stops]
        allowed = (link <= caps[:, None, None])[:, None]
        cost_after = self._lose(np.where(allowed, ahead + stage.spent_s[stops], np.inf), band)
        both = slice(max(low, band[0]), min(high, band[1]) + 1)
        if stage.relay and both.start < both.stop:
            kept = cost[:, :, both.start - low : both.stop - low]
            relayed = np.where((stage.link_s[both] <= caps[:, None, None])[:, None], kept + stage.link_s[both], np.inf)
            there = cost_after[:, :, both.start - band[0] : both.stop - band[0]]
            np.minimum(there, relayed, out=there)
        return cost_after

    def _lose(self, cost: NDArray[np.float64], band: tuple[int, int]) -> NDArray[np.float64]:
        """Move each cost to the level that its setting's loss leads to."""
        if self.levels is NO_BUDGET:
            return cost
        before = self._earlier[None, :, band[0] : band[1] + 1]
        return np.where(before >= 0, np.take_along_axis(cost, np.maximum(before, 0), axis=1), np.inf)

    def _walk_back(self, before: list[NDArray[np.float64]], bands: Bands, c: int, level: int, cap: float) -> Path:
        stop, setting = self.layers, 0
        cuts, settings = [stop], []
        for k in reversed(range(self.satellites)):
            stage, low = self.stages[k], bands[k][0]
            earlier = self.levels.earlier(stop, setting, level)
            top = min(stop - 1, low + before[k].shape[2] - 1)
            bottom = max(int(stage.first[stop]), low)
            best, here = np.inf, (stop, setting, level)
            if earlier >= 0 and bottom <= top:
                value = before[k][c, earlier, bottom - low : top + 1 - low] - stage.saved_s[bottom : top + 1]
                load = stage.load_s[stop, min(setting, stage.load_s.shape[1] - 1)]
                value = np.where(stage.relief_s[bottom : top + 1] >= load - cap, value, np.inf)
                start, incoming = divmod(int(np.argmin(value)), value.shape[1])
                best = value[start, incoming] + stage.spent_s[stop, setting]
                computed = (bottom + start, incoming, earlier)
                here = computed if np.isfinite(best) else here
            if stage.relay and low <= stop <= low + before[k].shape[2] - 1:
                relayed = before[k][c, level, stop - low, setting] + stage.link_s[stop, setting]
                here = (stop, setting, level) if relayed <= best else here
            stop, setting, level = here
            cuts.append(stop)
            settings.append(setting)
        return tuple(reversed(cuts)), tuple(reversed(settings[:-1]))


def _stage(costs: Costs, k: int) -> _Stage:
    last = k == costs.satellites - 1
    elapsed = costs.elapsed_s[k][:, None]
    link = np.where(costs.allowed, costs.link_s[k], np.inf)
    encode = costs.encode_s
    if last:
        # Only the output goes to the ground.
        link[:-1] = np.inf
    saved = elapsed - (costs.decode_s if k else np.zeros_like(costs.decode_s))
    load = elapsed + encode
    relief, limit = saved, load
    if costs.paper:
        relief = saved + (costs.link_s[k - 1] if k else 0.0)
        limit = load + costs.link_s[k]
    return _Stage(
        saved_s=saved,
        relief_s=_common(relief),
        load_s=_common(limit),
        spent_s=load + link,
        link_s=link,
        first=costs.first_start[k],
        longest=int((np.arange(costs.layers + 1) - costs.first_start[k]).max()),
        relay=bool(costs.relays[k]),
    )


def _common(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """One column if all columns are equal."""
    return table[:, :1] if (table == table[:, :1]).all() else table
