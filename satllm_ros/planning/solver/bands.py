"""Between which cuts each satellite can stop at all, by memory and by a cap on the bottleneck."""

from bisect import bisect_left, bisect_right

import numpy as np

from satllm_ros.planning.solver.costs import Costs

Bands = list[tuple[int, int]]


class Reach:
    """Finds the bands of many caps.

    A band leaves out only what cannot be part of a plan under the cap; it takes links, decoding and encoding to
    cost nothing, so not everything inside it need be part of one.
    """

    def __init__(self, costs: Costs) -> None:
        layers, must = costs.layers, [0, *np.cumsum(~costs.relays).tolist()]
        self._low = must
        self._high = [layers - (must[-1] - m) for m in must]
        self._elapsed = costs.elapsed_s.tolist()
        self._first = costs.first_start.tolist()
        self._layers = layers
        # What Eq. 14 takes off a stage's time is at most the time of the link before it.
        before = np.zeros(costs.satellites)
        if costs.paper:
            before[1:] = np.where(costs.allowed, costs.link_s[:-1], 0.0).max(axis=(1, 2))
        self._most_overlap = before.tolist()

    def bands(self, cap_s: float) -> Bands | None:
        """(K+1,) lowest and highest cut at each boundary, None if one of them has none."""
        high = [0]
        for k, elapsed in enumerate(self._elapsed):
            start = high[k]
            by_time = bisect_right(elapsed, elapsed[start] + cap_s + min(cap_s, self._most_overlap[k])) - 1
            by_memory = bisect_right(self._first[k], start) - 1
            high.append(min(max(start, min(by_time, by_memory)), self._high[k + 1]))
        low = [self._layers]
        for k in reversed(range(len(self._elapsed))):
            stop, elapsed = low[-1], self._elapsed[k]
            by_time = bisect_left(elapsed, elapsed[stop] - cap_s - min(cap_s, self._most_overlap[k]))
            low.append(max(min(stop, max(by_time, self._first[k][stop])), self._low[k]))
        low.reverse()
        if high[-1] < self._layers or low[0] > 0 or any(a > b for a, b in zip(low, high, strict=True)):
            return None
        return list(zip(low, high, strict=True))
