"""The paper's Algorithms 1 and 2: A* over (layers done, satellites used) with a grid search of compression ratios.

The text leaves two things open, so there are four readings. `tree` keeps every path that reaches a node, `label` one
label per node, the one of least f. `joint` solves Alg. 1 for all ratios of the path so far at every extension (line
12 of Alg. 2), `greedy` only for the ratio of the new edge, with those before it kept ("per-edge", Sec. V-B). Only
`tree` with `joint` is optimal; it is also the slowest by far. All readings take the objective of Eq. 13a/14.
"""

import heapq
import itertools
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from satllm_ros.planning.problem.problem import Problem
from satllm_ros.planning.problem.solution import Solution
from satllm_ros.planning.solver.costs import Costs, tabulate
from satllm_ros.planning.solver.optimum import evaluate
from satllm_ros.planning.solver.outcome import solution_of

# Alg. 1 tries every combination of ratios.
MAX_COMBINATIONS = 200_000


@dataclass(frozen=True)
class Reading:
    """How the algorithm is read.

    Attributes
    ----------
    labels
        `tree`: every path is a label; `node`: one label per node.
    ratios
        `joint`: all ratios of a path are chosen anew at each step; `greedy`: only the new one.
    heuristic
        Where Eq. 23 is taken on line 16. `pushed` counts what remains after the new edge, on the satellites after
        it, and never overestimates. `everyone` takes the fastest of all satellites, used ones too: a weaker bound.
        `popped` takes it before the new edge, whose layers are then counted twice: no bound at all.
    """

    labels: Literal["tree", "node"] = "tree"
    ratios: Literal["joint", "greedy"] = "joint"
    heuristic: Literal["pushed", "everyone", "popped"] = "pushed"

    def __str__(self) -> str:
        return f"{self.labels}, {self.ratios} ratios" + ("" if self.heuristic == "pushed" else f", h {self.heuristic}")


READINGS = tuple(Reading(labels, ratios) for labels in ("tree", "node") for ratios in ("joint", "greedy"))


@dataclass(frozen=True)
class SearchStep:
    """One node taken from the queue.

    Attributes
    ----------
    f_s
        Its f, which bounds the optimum from below as long as h does not overestimate [s].
    best_s
        Delay of the best complete path in the queue so far, inf if there is none [s].
    """

    layers: int
    satellites: int
    f_s: float
    best_s: float


@dataclass(frozen=True)
class Search:
    """What a search found, and how it got there (Fig. 11)."""

    reading: Reading
    solution: Solution | None
    steps: tuple[SearchStep, ...]


@dataclass(order=True)
class _Label:
    f_s: float
    order: int
    cuts: tuple[int, ...] = field(compare=False)
    chosen: tuple[int, ...] = field(compare=False)


def search(problem: Problem, reading: Reading, *, max_steps: int = 100_000) -> Search:
    """Run Alg. 2 until a complete path is taken from the queue.

    Raises
    ------
    ValueError
        If a satellite may relay or there is a loss budget, which the paper does not have; if Alg. 1 would have to try
        more than `MAX_COMBINATIONS` combinations; or if the search takes more than `max_steps`.
    """
    if any(s.may_relay for s in problem.satellites) or problem.compression.loss_budget is not None:
        raise ValueError("the paper's search knows no relays and no loss budget")
    costs = tabulate(problem, paper=True)
    combinations = len(costs.settings) ** (costs.satellites - 1)
    if reading.ratios == "joint" and combinations > MAX_COMBINATIONS:
        raise ValueError(
            f"{len(costs.settings)} ratios at {costs.satellites - 1} cuts make {combinations:,} combinations; "
            f"allowed: {MAX_COMBINATIONS:,}"
        )
    return _Astar(problem, costs, reading).run(max_steps)


class _Astar:
    def __init__(self, problem: Problem, costs: Costs, reading: Reading) -> None:
        self.problem, self.costs, self.reading = problem, costs, reading
        self.layer_s = problem.layer_seconds()
        self.order = itertools.count()
        self.best_s = np.inf
        self.at_node: dict[tuple[int, int], float] = {}

    def run(self, max_steps: int) -> Search:
        queue = [_Label(0.0, next(self.order), (0,), ())]
        steps: list[SearchStep] = []
        layers, count = self.costs.layers, self.costs.satellites
        while queue:
            label = heapq.heappop(queue)
            done, used = label.cuts[-1], len(label.cuts) - 1
            if self.reading.labels == "node" and self.at_node.get((done, used), np.inf) < label.f_s:
                continue
            if len(steps) == max_steps:
                raise ValueError(f"the search ({self.reading}) takes more than {max_steps:,} steps")
            steps.append(SearchStep(done, used, label.f_s, self.best_s))
            if used == count:
                choice = evaluate(self.costs, label.cuts, label.chosen)
                return Search(
                    self.reading, solution_of(self.problem, self.costs, choice, 0.0, proven=False), tuple(steps)
                )
            for stop in range(done + 1, layers - (count - used - 1) + 1):
                if done < self.costs.first_start[used, stop] or (used + 1 == count and stop < layers):
                    continue
                self._push(queue, label, stop)
        return Search(self.reading, None, tuple(steps))

    def _push(self, queue: list[_Label], label: _Label, stop: int) -> None:
        cuts = (*label.cuts, stop)
        used = len(cuts) - 1
        chosen = self._ratios(cuts, label.chosen)
        if chosen is None:
            return
        g_s, theta_s = self._path(cuts, np.array([chosen], dtype=int))
        at = used - 1 if self.reading.heuristic == "popped" else used
        f_s = float(g_s[0] + (self.costs.batches - 1) * theta_s[0]) + self._remaining_s(cuts[at], at)
        node = (stop, used)
        if self.reading.labels == "node" and self.at_node.get(node, np.inf) <= f_s:
            return
        self.at_node[node] = f_s
        if used == self.costs.satellites:
            self.best_s = min(self.best_s, f_s)
        heapq.heappush(queue, _Label(f_s, next(self.order), cuts, chosen))

    def _ratios(self, cuts: tuple[int, ...], before: tuple[int, ...]) -> tuple[int, ...] | None:
        """Alg. 1 on the path so far; the edge to the last satellite has no ratio to choose."""
        free = min(len(cuts) - 1, self.costs.satellites - 1)
        if free == 0:
            return ()
        if not self.costs.settings:
            return None
        numbers = range(len(self.costs.settings))
        if self.reading.ratios == "joint":
            tried = np.array(list(itertools.product(numbers, repeat=free)), dtype=int)
        else:
            new = [(q,) for q in numbers] if free > len(before) else [()]
            tried = np.array([(*before, *q) for q in new], dtype=int).reshape(len(new), free)
        g_s, theta_s = self._path(cuts, tried)
        return tuple(int(q) for q in tried[int(np.argmin(g_s + (self.costs.batches - 1) * theta_s))])

    def _path(self, cuts: tuple[int, ...], chosen: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """g (Eq. 21) and theta (Eq. 22) of a path under several choices of ratios (n, j)."""
        costs, stages = self.costs, len(cuts) - 1
        rows, bounds = np.arange(stages), np.array(cuts)
        compute = costs.elapsed_s[rows, bounds[1:]] - costs.elapsed_s[rows, bounds[:-1]]
        compute = np.tile(compute, (len(chosen), 1))
        coded = chosen.shape[1]
        at = bounds[1 : coded + 1]
        compute[:, :coded] += costs.encode_s[at, chosen]
        compute[:, 1:] += costs.decode_s[at, chosen][:, : stages - 1]
        link = np.full((len(chosen), stages), costs.ground_s)
        link[:, :coded] = costs.link_s[np.arange(coded), at, chosen]
        before = np.concatenate([np.zeros((len(chosen), 1)), link[:, :-1]], axis=1)
        effective = compute + link - np.minimum(compute, before)
        return compute.sum(axis=1) + link.sum(axis=1), effective.max(axis=1)

    def _remaining_s(self, done: int, used: int) -> float:
        """Eq. 23: every layer still to do on the satellite, of those that remain, that does it fastest."""
        if used == self.costs.satellites:
            return 0.0
        first = 0 if self.reading.heuristic == "everyone" else used
        return float(self.layer_s[first:, done:].min(axis=0).sum())
