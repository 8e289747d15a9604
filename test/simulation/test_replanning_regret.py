"""Re-planning in a changing world: near the clairvoyant, and better than moving always or never."""

from dataclasses import replace

import numpy as np
import pytest

from satllm_ros.planning.problem.problem import Link
from satllm_ros.planning.solver.solve import solve
from satllm_ros.replanning.flight import flight_problem
from satllm_ros.simulation.regret.changing_world import ChangingWorld, random_world
from satllm_ros.simulation.regret.replanning import Paces, clairvoyant, online

TRACES = 15


def runs(seed: int) -> dict[str, float]:
    world = random_world(np.random.default_rng(seed))
    paces = Paces(world)
    best_s = clairvoyant(world, paces)
    return {
        habit: online(world, paces, np.random.default_rng([seed, 1]), habit).time_s / best_s - 1
        for habit in ("evaluate", "never")
    }


def test_mean_regret_is_small() -> None:
    found = [runs(seed) for seed in range(TRACES)]
    assert np.mean([one["evaluate"] for one in found]) < 0.05
    assert np.mean([one["never"] for one in found]) > 2 * np.mean([one["evaluate"] for one in found])
    # The clairvoyant's own rule is a bound, so nobody is much below it.
    assert min(one["evaluate"] for one in found) > -0.01


def steady(world: ChangingWorld, spells: int = 1) -> ChangingWorld:
    return ChangingWorld(world.since_s[:spells], world.facts[:spells], world.load_bytes_per_s)


def test_paces_are_those_of_the_planner() -> None:
    for seed in range(5):
        world = random_world(np.random.default_rng(seed))
        plan = solve(flight_problem(replace(world.facts[0], batches=10**6)))
        assert Paces(world).in_spell(0).min() == pytest.approx(plan.bottleneck.seconds, rel=1e-3)


def test_a_world_that_stays_as_it_is_costs_nothing() -> None:
    world = steady(random_world(np.random.default_rng(7)))
    paces = Paces(world)
    best_s = clairvoyant(world, paces)
    assert best_s == pytest.approx(world.facts[0].batches * paces.in_spell(0).min())
    run = online(world, paces, np.random.default_rng(1))
    assert run.time_s == pytest.approx(best_s, rel=0.01) and run.moves <= 1


def test_the_clairvoyant_does_not_carry_a_pace_beyond_its_spell() -> None:
    world = steady(random_world(np.random.default_rng(7)))
    facts = world.facts[0]
    slow = replace(facts, satellites=[replace(s, block_s=100 * s.block_s) for s in facts.satellites])
    links = replace(facts.links, measured={pair: Link(link.rate_bps) for pair, link in facts.links.measured.items()})
    both = ChangingWorld(np.array([0.0, 10.0]), (facts, replace(slow, links=links)), world.load_bytes_per_s)
    paces = Paces(both)
    first, second = paces.in_spell(0).min(), paces.in_spell(1).min()
    assert clairvoyant(both, paces) >= 10 + (facts.batches - 10 / first) * second - 1e-6
