"""Deliberate bugs must be caught, or the simulation proves nothing."""

import pytest

from satllm_ros.simulation.exploration.exhaustive import Bounds, Explorer
from satllm_ros.simulation.mutations.catalogue import MUTATIONS, Mutation, first_catch
from satllm_ros.simulation.oracle import Violation
from satllm_ros.simulation.run import simulate

# Seeds at which each is caught soonest; found with `satllm simulate --mutations`.
CAUGHT_BY = {
    "hasty ground": 0,
    "hasty store": 0,
    "silent ground": 9,
    "forgetful store": 162,
    "hasty commit": 1,
    "careless sensing": 31,
    "deaf sensing": 45,
    "impatient drain": 3,
    "unwritten plan": 9,
    "newest plan": 2,
    "tidy satellite": 1,
    "eager satellite": 0,
    "greedy satellite": 3,
    "identity by stamp": 1,
    "identity by place": 5,
    "renaming sensing": 83,
    "model-blind ground": 31,
    "run-blind ground": 84,
    "mute ground": 31,
    "stubborn store": 31,
    "relapsing store": 57,
    "glossing sensing": 31,
    "trusting sensing": 368,
    "faithful sensing": 23,
    "blithesome sensing": 20,
    "patient sensing": 3,
    "incurious sensing": 2,
    "once-only store": 3,
    "credulous satellite": 84,
    "half-credulous satellite": 173,
    "tireless hop": 40,
    "forgetful hop": 2,
    "hoarding hop": 79,
    "one-eared contact": 4,
    "faithful contact": 173,
    "lost name": 111,
}
BY_NAME = {mutation.name: mutation for mutation in MUTATIONS}


def test_every_mutation_has_its_seed() -> None:
    assert CAUGHT_BY.keys() == BY_NAME.keys() and len(MUTATIONS) >= 5


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_bug_is_caught_and_its_absence_is_not(mutation: Mutation) -> None:
    seed = CAUGHT_BY[mutation.name]
    caught = first_catch(mutation, range(seed, seed + 30))
    assert caught is not None, f"{mutation.sentence}: not caught"
    assert not simulate(caught.seed).broken


@pytest.mark.parametrize("name", ["hasty commit", "careless sensing", "eager satellite"])
def test_exploration_catches_bugs_too(name: str) -> None:
    with pytest.raises(Violation) as caught:
        Explorer(Bounds(kills=1), BY_NAME[name].parts).explore()
    assert len(str(caught.value).splitlines()) >= 1
