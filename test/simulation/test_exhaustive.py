"""Every interleaving of a small world."""

import pytest

from satllm_ros.simulation.exploration.exhaustive import Bounds, Explorer


@pytest.mark.parametrize(
    ("bounds", "least"),
    [
        (Bounds(kills=0, fine=True), 50_000),
        (Bounds(kills=0, fine=True, tight=True), 20_000),
        (Bounds(kills=1), 50_000),
    ],
    ids=["no kill, every step apart", "no kill, every step apart, with a drain", "one kill"],
)
def test_no_interleaving_breaks_a_promise(bounds: Bounds, least: int) -> None:
    count = Explorer(bounds).explore()
    assert count.states > least and count.quiet > 0


def test_an_exploration_is_the_same_each_time() -> None:
    assert Explorer(Bounds(kills=0)).explore() == Explorer(Bounds(kills=0)).explore()
