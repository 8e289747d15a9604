import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satllm_ros.protocol.membership.clock_offset import MAX_DRIFT, ClockOffset

# The delays of the two ways have nothing in common; an answer waits up to a period, or for a while.
exchanges = st.lists(
    st.tuples(st.floats(1e-4, 30.0), st.floats(1e-4, 5.0), st.floats(1e-4, 5.0), st.floats(0.0, 3.0)),
    min_size=1,
    max_size=60,
)


@settings(deadline=None)
@given(
    exchanges,
    st.floats(-1e6, 1e6),
    st.floats(-0.99 * MAX_DRIFT, 0.99 * MAX_DRIFT),
    st.floats(0.0, 100.0),
    st.floats(1.0, 120.0),
)
def test_the_true_offset_lies_within_the_uncertainty(
    delays: list[tuple[float, float, float, float]], offset_s: float, drift: float, later_s: float, window_s: float
) -> None:
    def theirs(ours_s: float) -> float:
        return ours_s + offset_s + drift * ours_s

    clock, now_s = ClockOffset(window_s), 0.0
    for pause_s, there_s, back_s, answer_s in delays:
        sent_s = now_s + pause_s
        received_s, answered_s = sent_s + there_s, sent_s + there_s + answer_s
        now_s = answered_s + back_s
        assert clock.add(sent_s, theirs(received_s), theirs(answered_s), now_s)
        found = clock.best(now_s)
        assert found is not None
        # What floats of a million seconds can tell.
        assert abs(found.offset_s - (theirs(now_s) - now_s)) <= found.uncertainty_s + 1e-8
    found = clock.best(now_s + later_s)
    assert found is not None
    assert abs(found.offset_s - (theirs(now_s + later_s) - now_s - later_s)) <= found.uncertainty_s + 1e-8


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(1e-4, 5.0), st.floats(1e-4, 5.0)), min_size=1, max_size=40))
def test_no_sample_of_the_window_is_better(delays: list[tuple[float, float]]) -> None:
    clock, made, now_s = ClockOffset(20.0), [], 0.0
    for there_s, back_s in delays:
        sent_s = now_s + 0.5
        now_s = sent_s + there_s + back_s
        clock.add(sent_s, sent_s + there_s, sent_s + there_s, now_s)
        made.append((now_s, (there_s + back_s) * (0.5 + 1.5 * MAX_DRIFT)))
        found = clock.best(now_s)
        alone = [half_s + MAX_DRIFT * (now_s - at_s) for at_s, half_s in made if at_s >= now_s - 20.0]
        assert found is not None and found.uncertainty_s == pytest.approx(min(alone))


def test_a_clock_that_jumped_is_believed_anew() -> None:
    clock = ClockOffset()
    clock.add(0.0, 100.001, 100.001, 0.002)
    assert clock.best(1.0).offset_s == pytest.approx(100.0)
    clock.add(1.0, 51.4, 51.4, 1.8)
    assert clock.best(2.0).offset_s == pytest.approx(50.0)


@pytest.mark.parametrize(
    "times",
    [
        (0.0, 5.0, 5.0, -1.0),
        (0.0, 5.0, 4.0, 1.0),
        (0.0, 5.0, 7.0, 1.0),
        (0.0, math.nan, 5.0, 1.0),
        (0.0, 5.0, math.inf, 1.0),
    ],
    ids=["back before sent", "answered before received", "there longer than away", "no number", "never"],
)
def test_times_that_cannot_be_are_refused(times: tuple[float, float, float, float]) -> None:
    clock = ClockOffset()
    assert not clock.add(*times)
    assert clock.best(1.0) is None
