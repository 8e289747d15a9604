"""Windows of a figure are found however short they are, and to the millisecond."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.orbit import windows as w

DAY_S = 86_400.0


def found(figure, duration_s=1_000.0, step_s=20.0, lanes=1):  # type: ignore[no-untyped-def]
    return w.windows(lambda lane, t: figure(lane, t), lanes, duration_s, step_s)


def test_a_window_shorter_than_a_step_is_found() -> None:
    (window,) = found(lambda _, t: 0.5 - np.abs(t - 509.7))
    assert (window.start_s, window.stop_s) == pytest.approx((509.2, 510.2), abs=1e-3)


def test_a_gap_shorter_than_a_step_is_found() -> None:
    first, second = found(lambda _, t: np.abs(t - 509.7) - 0.5)
    assert (first.start_s, second.stop_s) == (0.0, 1_000.0)
    assert (first.stop_s, second.start_s) == pytest.approx((509.2, 510.2), abs=1e-3)


def test_what_is_always_or_never_the_case_has_one_window_or_none() -> None:
    assert found(lambda _, t: np.ones_like(t)) == [w.Window(0, 0.0, 1_000.0)]
    assert found(lambda _, t: -np.ones_like(t)) == []
    # What only touches zero at a look is no time at all, and what is zero all along is all of it.
    assert found(lambda _, t: np.zeros_like(t)) == [w.Window(0, 0.0, 1_000.0)]


def test_lanes_are_apart_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    # One lane at a time fits.
    monkeypatch.setattr(w, "MOST_VALUES", 10)
    rows = found(lambda lane, t: 50.0 - np.abs(t - 100.0 * (lane + 1)), lanes=5)
    assert [row.lane for row in rows] == [0, 1, 2, 3, 4]
    assert [row.start_s for row in rows] == pytest.approx([50.0, 150.0, 250.0, 350.0, 450.0], abs=1e-3)


@given(
    st.lists(st.tuples(st.floats(200, 900), st.floats(0, 2 * math.pi), st.floats(0.1, 1)), min_size=1, max_size=3),
    st.floats(-0.9, 0.9),
)
def test_windows_are_those_of_a_scan(waves: list[tuple[float, float, float]], level: float) -> None:
    def figure(_: w.Indices, t: w.Floats) -> w.Floats:
        return sum((a * np.sin(2 * math.pi * t / p + s) for p, s, a in waves), np.zeros_like(t)) - level

    rows = found(figure, 5_000.0, 20.0)
    times = np.linspace(0.0, 5_000.0, 50_001)
    inside = np.zeros(times.shape, dtype=bool)
    for row in rows:
        inside |= (times >= row.start_s) & (times <= row.stop_s)
    values = figure(np.zeros(times.shape, dtype=np.intp), times)
    # A tenth of a second from an edge either may be said.
    assert not (inside != (values >= 0))[np.abs(values) > 0.01].any()


def test_extrema_are_found_closely() -> None:
    def figure(_: w.Indices, t: w.Floats) -> w.Floats:
        return 3.0 - (t - 7.3) ** 2

    at, value = w.extremum(figure, np.array([0]), np.array([0.0]), np.array([20.0]))
    assert (at[0], value[0]) == pytest.approx((7.3, 3.0), abs=1e-4)
    at, value = w.extremum(lambda k, t: -figure(k, t), np.array([0]), np.array([0.0]), np.array([20.0]), -1.0)
    assert (at[0], value[0]) == pytest.approx((7.3, -3.0), abs=1e-4)
