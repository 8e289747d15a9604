"""Shortest way of one batch through the chain when no resource may take longer than a cap."""

from dataclasses import dataclass

import numpy as np

from satllm_ros.planning.costs import Costs
from satllm_ros.planning.window import smallest_in_windows


@dataclass(frozen=True)
class _Stage:
    """One satellite's part of the recursion, over starts a = 0..n-1 and stops b = 0..n-1 of its own range.

    With E the elapsed time, comp = (E[stop] + encode) - (E[start] - decode) = load - relief. So "comp <= cap"
    is "relief >= load - cap", and the cost so far is (cost before - relief) + load + link.
    """

    relief_s: np.ndarray  # (n, S)
    load_s: np.ndarray  # (n, T)
    link_s: np.ndarray  # (n, T)
    first: np.ndarray  # (n,) smallest start that memory allows
    sorted_relief: bool


class Chain:
    """The recursion's tables, made once and used for many caps.

    Stage k starts at cuts k-1..L-K+k-1 and stops at cuts k..L-K+k, so that every satellite gets a layer: with
    indices counted from these lower ends, start a and stop b are a valid pair if a <= b.
    """

    def __init__(self, costs: Costs) -> None:
        self.size = costs.layers - costs.satellites + 1
        self.satellites = costs.satellites
        self.stages = [self._stage(costs, k) for k in range(costs.satellites)]
        self.stops = np.arange(self.size)
        scale = max(max(s.load_s.max(), np.abs(s.relief_s).max()) for s in self.stages)
        # Differences of elapsed times are off by this much, and must not make a cap look exceeded. Never zero, so
        # that a cap taken below it makes progress even among the smallest of doubles.
        self.rounding_s = 8 * np.finfo(float).eps * float(scale) + float(np.finfo(float).tiny)

    def _stage(self, costs: Costs, k: int) -> _Stage:
        starts, stops = slice(k, k + self.size), slice(k + 1, k + 1 + self.size)
        last = k == costs.satellites - 1
        elapsed = costs.elapsed_s[k]
        decode = costs.decode_s[starts] if k else np.zeros((self.size, 1))
        encode = np.zeros((self.size, 1)) if last else costs.encode_s[stops]
        relief = elapsed[starts, None] - decode
        return _Stage(
            relief_s=relief,
            load_s=elapsed[stops, None] + encode,
            link_s=np.full((self.size, 1), costs.ground_s) if last else costs.link_s[k, stops],
            first=np.maximum(costs.first_start[k, stops] - k, 0),
            sorted_relief=bool(np.all(np.diff(relief, axis=0) >= 0)),
        )

    def shortest(self, cap_s: float) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """Cuts (K+1,) and setting indices (K-1,) of the least sum of times; None if all exceed the cap."""
        cap = cap_s + self.rounding_s
        cost = np.full((self.size, 1), np.inf)
        cost[0] = 0.0
        before = []
        for stage in self.stages:
            before.append(cost)
            ahead = self._cheapest_start(stage, cost, cap)
            cost = np.where(stage.link_s <= cap, ahead + stage.load_s + stage.link_s, np.inf)
        if not np.isfinite(cost[-1, 0]):
            return None
        return self._walk_back(before, cap)

    def _cheapest_start(self, stage: _Stage, cost: np.ndarray, cap: float) -> np.ndarray:
        """(n, T) least of cost - relief over the starts and incoming settings that cap and memory allow."""
        value = cost - stage.relief_s
        needed = stage.load_s - cap
        if not stage.sorted_relief:
            return self._scan(stage, value, needed)
        # The starts that cap and memory allow are a window, for each incoming setting another one; all
        # settings' values stand in one row, one setting after the other.
        offset = self.size * np.arange(value.shape[1])[:, None, None]
        first = np.stack([np.searchsorted(relief, needed) for relief in stage.relief_s.T])
        first = np.maximum(first, stage.first[:, None]) + offset
        last = np.broadcast_to(self.stops[:, None] + offset, first.shape)
        return smallest_in_windows(value.T.ravel(), first, last).min(axis=0)

    def _scan(self, stage: _Stage, value: np.ndarray, needed: np.ndarray) -> np.ndarray:
        """The same where decoding a later cut may cost more than the layers it saves: no windows there."""
        inside = (self.stops <= self.stops[:, None]) & (self.stops >= stage.first[:, None])
        best = np.full(needed.shape, np.inf)
        for one, relief in zip(value.T, stage.relief_s.T, strict=True):
            for t, need in enumerate(needed.T):
                found = np.where(inside & (relief >= need[:, None]), one, np.inf).min(axis=1)
                np.minimum(best[:, t], found, out=best[:, t])
        return best

    def _walk_back(self, before: list[np.ndarray], cap: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
        stop, setting = self.size - 1, 0
        cuts, settings = [self.satellites + stop], []
        for k in reversed(range(self.satellites)):
            stage, low = self.stages[k], self.stages[k].first[stop]
            relief = stage.relief_s[low : stop + 1]
            value = before[k][low : stop + 1] - relief
            value = np.where(relief >= stage.load_s[stop, setting] - cap, value, np.inf)
            start, setting = divmod(int(np.argmin(value)), value.shape[1])
            # The start of stage k is the stop of stage k-1, both counted from cut k.
            stop = low + start
            cuts.append(k + stop)
            settings.append(setting)
        return tuple(int(c) for c in reversed(cuts)), tuple(reversed(settings[:-1]))
