"""A planner that sees a changing world through reports, beside one that knows all of it beforehand.

The stream is a fluid: a split serves one batch every bottleneck of the exact law, and nothing while it moves. Both
planners pay for a move what `replanning.decision` charges (the clairvoyant no drains), and change settings for nothing,
since that needs no load.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from satllm_ros.planning.problem.problem import Link
from satllm_ros.planning.problem.solution import Solution
from satllm_ros.planning.solver.costs import Costs, tabulate
from satllm_ros.planning.solver.solve import solve
from satllm_ros.replanning.decision import DOUBT_S, Assignment, evaluate, is_noise
from satllm_ros.replanning.drift import drift
from satllm_ros.replanning.flight import FlightFacts, LinkFacts, SatelliteFacts, flight_problem
from satllm_ros.replanning.median_filter import MedianFilter
from satllm_ros.simulation.regret.changing_world import ChangingWorld

Habit = Literal["evaluate", "always", "never"]

REPORT_S = 1.0
# Reported figures jitter by this much.
JITTER = 0.03


@dataclass(frozen=True)
class Run:
    """How long a run took, and how often it moved."""

    time_s: float
    moves: int


class Paces:
    """Seconds a batch takes under every split in every spell of a world, with the best settings for it."""

    def __init__(self, world: ChangingWorld) -> None:
        first = world.facts[0]
        blocks, count = first.spec.blocks, len(first.satellites)
        inner = itertools.combinations(range(1, blocks), count - 1)
        self.splits = np.array([(0, *cuts, blocks) for cuts in inner])
        self._of = {tuple(split): i for i, split in enumerate(self.splits.tolist())}
        self._world = world
        self._known: dict[int, NDArray[np.float64]] = {}

    def index(self, cuts: tuple[int, ...]) -> int:
        return self._of[cuts]

    def in_spell(self, spell: int) -> NDArray[np.float64]:
        """(S,) pace of each split [s]."""
        if spell not in self._known:
            self._known[spell] = _paces(tabulate(flight_problem(self._world.facts[spell])), self.splits)
        return self._known[spell]


def _paces(costs: Costs, splits: NDArray[np.intp]) -> NDArray[np.float64]:
    count, best = costs.satellites, np.full(len(splits), np.inf)
    rows = np.arange(count)
    elapsed = costs.elapsed_s[rows, splits[:, 1:]] - costs.elapsed_s[rows, splits[:, :-1]]
    inner = splits[:, 1:-1]
    for chosen in itertools.product(range(len(costs.settings)), repeat=count - 1):
        compute = elapsed.copy()
        compute[:, :-1] += costs.encode_s[inner, chosen]
        compute[:, 1:] += costs.decode_s[inner, chosen]
        link = costs.link_s[rows[:-1], inner, chosen]
        best = np.minimum(best, np.maximum(compute.max(axis=1), link.max(axis=1)))
    paces: NDArray[np.float64] = np.maximum(best, max(costs.upload_s, costs.ground_s))
    return paces


def clairvoyant(world: ChangingWorld, paces: Paces) -> float:
    """The least time any sequence of splits can take that moves when spells change.

    For every split the most batches done by the beginning of each spell, among all ways to get there: whoever is ahead
    under the same split stays ahead. A move is paid at the end of a spell or at the beginning of the next, whichever
    is cheaper.
    """
    batches = world.facts[0].batches
    cost_s = _move_costs(world, paces.splits)
    done = np.zeros(len(paces.splits))
    ends = np.append(world.since_s[1:], np.inf)
    for spell, (since_s, until_s) in enumerate(zip(world.since_s, ends, strict=True)):
        pace = paces.in_spell(spell)
        if spell:
            before = paces.in_spell(spell - 1)
            cheaper = np.minimum(cost_s / before[:, None], cost_s / pace[None, :])
            done = (done[:, None] - cheaper).max(axis=0)
        finish_s = float((since_s + (batches - done) * pace).min())
        if finish_s <= until_s:
            return finish_s
        done = done + (until_s - since_s) / pace
    raise AssertionError("the last spell has no end")


def _move_costs(world: ChangingWorld, splits: NDArray[np.intp]) -> NDArray[np.float64]:
    """(S, S) seconds a move takes, by `replanning.decision`'s rule with loads alone; drains only add to it."""
    facts = world.facts[0]
    load_s = facts.spec.layer_bytes[0] / world.load_bytes_per_s
    lengths = np.diff(splits, axis=1) * load_s
    same = (splits[:, None, :-1] == splits[None, :, :-1]) & (splits[:, None, 1:] == splits[None, :, 1:])
    cost_s: NDArray[np.float64] = np.where(same, 0.0, lengths[None, :, :]).max(axis=2)
    return cost_s


def online(world: ChangingWorld, paces: Paces, rng: np.random.Generator, habit: Habit = "evaluate") -> Run:
    """A planner as in flight: medians of jittering reports, a look when they drift, a move if it is worth it.

    Parameters
    ----------
    habit
        `evaluate`: moves if the gain exceeds the cost and is no noise, as in flight; `always`: to whatever is best at
        each look; `never`.
    """
    left, now_s, moves, spell = float(world.facts[0].batches), 0.0, 0, 0
    look_again_s = np.inf
    seen = _Reports(world.facts[0])
    seen.hear(world.facts[0], now_s, rng)
    looked_at = seen.facts(left)
    flying = _shares(solve(flight_problem(looked_at)))
    while True:
        pace_s = float(paces.in_spell(spell)[paces.index(_cuts(flying))])
        next_s = now_s + REPORT_S
        change_s = world.since_s[spell + 1] if spell + 1 < len(world.since_s) else np.inf
        stop_s = min(next_s, float(change_s))
        if left * pace_s <= stop_s - now_s:
            return Run(now_s + left * pace_s, moves)
        left -= (stop_s - now_s) / pace_s
        now_s = stop_s
        if stop_s == change_s:
            spell += 1
            continue
        seen.hear(world.facts[spell], now_s, rng)
        facts = seen.facts(left)
        if habit == "never" or not (drift(looked_at, facts) or now_s >= look_again_s):
            continue
        looked_at, look_again_s = facts, np.inf
        draft = _shares(solve(flight_problem(facts)))
        if _cuts(draft) == _cuts(flying):
            continue
        decision = evaluate(facts, flying, draft, world.load_speed)
        if habit == "evaluate" and not decision.is_worth_it:
            continue
        if habit == "evaluate" and is_noise(decision, facts, flying, draft, world.load_speed, seen.block_range_s):
            look_again_s = now_s + DOUBT_S
        else:
            flying, moves = draft, moves + 1
            now_s += decision.cost_s
            while spell + 1 < len(world.since_s) and world.since_s[spell + 1] <= now_s:
                spell += 1


class _Reports:
    """Medians of what satellites and links report."""

    def __init__(self, prior: FlightFacts) -> None:
        self._prior = prior
        self._block_s = {s.name: MedianFilter() for s in prior.satellites}
        self._rate_bps = {pair: MedianFilter() for pair in prior.links.measured}

    def hear(self, truth: FlightFacts, now_s: float, rng: np.random.Generator) -> None:
        for satellite in truth.satellites:
            self._block_s[satellite.name].add(satellite.block_s * (1 + JITTER * rng.normal()), now_s)
        for pair, link in truth.links.measured.items():
            self._rate_bps[pair].add(link.rate_bps * (1 + JITTER * rng.normal()), now_s)

    def block_range_s(self, satellite: str) -> tuple[float, float]:
        return self._block_s[satellite].range

    def facts(self, batches_left: float) -> FlightFacts:
        prior = self._prior
        links: LinkFacts = replace(
            prior.links, measured={pair: Link(figure.value) for pair, figure in self._rate_bps.items()}
        )
        satellites = [SatelliteFacts(s.name, self._block_s[s.name].value, s.memory_bytes) for s in prior.satellites]
        return replace(prior, batches=max(1, round(batches_left)), satellites=satellites, links=links)


def _shares(solution: object) -> list[Assignment]:
    assert isinstance(solution, Solution)
    settings = (*solution.settings, "raw")
    return [Assignment(s.satellite, s.start, s.stop, q) for s, q in zip(solution.stages, settings, strict=True)]


def _cuts(shares: list[Assignment]) -> tuple[int, ...]:
    return (0, *(share.stop for share in shares))
