"""Minima in windows, against looking at every value of every window."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from satllm_ros.planning.solver import window
from satllm_ros.planning.solver.window import least_above, smallest_in_windows

seeds = st.integers(0, 2**32 - 1)


def draw_values(rng: np.random.Generator, *shape: int) -> NDArray[np.float64]:
    """Few distinct values, so that there are ties, and some that can never be taken."""
    return np.where(rng.random(shape) < 0.2, np.inf, rng.integers(-3, 4, shape).astype(float))


@settings(deadline=None, max_examples=200)
@given(seed=seeds, count=st.integers(1, 20), caps=st.integers(1, 3), levels=st.integers(1, 3), common=st.booleans())
def test_the_smallest_of_each_window(seed: int, count: int, caps: int, levels: int, common: bool) -> None:
    rng = np.random.default_rng(seed)
    values = draw_values(rng, caps, levels, count)
    shape = (1 if common else caps, 5, 2)
    first, last = rng.integers(0, count, shape), rng.integers(0, count, shape)
    found = smallest_in_windows(values, first, last)
    for c, v, m, h in np.ndindex(*found.shape):
        own = (0 if common else c, m, h)
        expected = values[c, v, first[own] : last[own] + 1].min(initial=np.inf)
        assert found[c, v, m, h] == expected, (c, v, m, h)


def test_windows_that_are_all_empty_hold_nothing() -> None:
    first, last = np.full((1, 3, 1), 2), np.full((1, 3, 1), 1)
    assert np.isinf(smallest_in_windows(np.zeros((2, 1, 4)), first, last)).all()


@pytest.mark.parametrize("chunk", [1, 50, window._CHUNK])
@pytest.mark.parametrize("rising", [False, True])
@settings(deadline=None, max_examples=60)
@given(seed=seeds, rows=st.integers(1, 12), groups=st.integers(1, 3), windows=st.integers(1, 9))
def test_the_least_whose_key_is_not_below(
    chunk: int, rising: bool, seed: int, rows: int, groups: int, windows: int
) -> None:
    rng = np.random.default_rng(seed)
    keys = rng.integers(-3, 4, (rows, 1 if rising else groups)).astype(float)
    if rising:
        keys.sort(axis=0)
    values = draw_values(rng, 2, 2, rows, keys.shape[1])
    thresholds = rng.integers(-4, 5, (2, windows, 2)).astype(float)
    first, last = rng.integers(0, rows, windows), rng.integers(0, rows, windows)
    with pytest.MonkeyPatch.context() as patch:
        # So little memory that windows are looked at one by one, or a few at a time.
        patch.setattr(window, "_CHUNK", chunk)
        found = least_above(values, keys, thresholds, first, last)
    for c, v, m, h in np.ndindex(*found.shape):
        inside = slice(first[m], last[m] + 1)
        taken = values[c, v, inside][keys[inside] >= thresholds[c, m, h]]
        assert found[c, v, m, h] == taken.min(initial=np.inf), (c, v, m, h)
