"""Times of a measured device, refreshed by what its satellite reports, and the plans they lead to."""

import pytest
from flight_facts import BLOCKS, make_facts, shares
from hypothesis import assume, given
from hypothesis import strategies as st

from satllm_ros.model.first_blocks import middle_blocks
from satllm_ros.planning.problem.problem import Setting
from satllm_ros.planning.problem.solution import Solution
from satllm_ros.replanning.decision import predicted_s
from satllm_ros.replanning.drift import drift
from satllm_ros.replanning.flight import SatelliteFacts, flight_problem
from satllm_ros.replanning.measured import DeviceTimes, Pace, with_costs
from satllm_ros.replanning.selection import best_selection

# The first layer takes as long as the five others together.
UNEQUAL = DeviceTimes((5.0, 1.0, 1.0, 1.0, 1.0, 1.0), {"int8": (3e-9, 1e-9)}, first_blocks=(2, 4))
WEIGHT = 0.2


def measured(name: str, block_s: float) -> SatelliteFacts:
    return SatelliteFacts(name, block_s, 1e6, UNEQUAL.layer_shares)


def test_layers_of_a_measured_satellite_keep_their_proportions() -> None:
    facts = make_facts(satellites=[measured("sat1", 10 / 6), measured("sat2", 20 / 6)], batch_tiles=3)
    first, second = flight_problem(facts).layer_seconds()
    assert first == pytest.approx([15, 3, 3, 3, 3, 3]) and second == pytest.approx(2 * first)


def test_unequal_layers_are_split_by_time_and_equal_ones_by_number() -> None:
    for satellites, first_stop in (
        ([measured("sat1", 10 / 6), measured("sat2", 10 / 6)], 1),
        ([SatelliteFacts(name, 10 / 6, 1e6) for name in ("sat1", "sat2")], 3),
    ):
        _, outcome = best_selection(make_facts(satellites=satellites))
        assert isinstance(outcome, Solution)
        assert outcome.stages[0].stop == first_stop


def test_the_times_of_a_move_are_those_of_the_layers() -> None:
    facts = make_facts(satellites=[measured("sat1", 10 / 6), measured("sat2", 10 / 6)])
    # A bottleneck of 5 s and of 7 s, 20 batches: what else a batch takes is the same.
    gain_s = predicted_s(facts, shares(("sat1", 3), ("sat2", BLOCKS))) - predicted_s(
        facts, shares(("sat1", 1), ("sat2", BLOCKS))
    )
    assert gain_s == pytest.approx(19 * 2.0, rel=1e-3)


@pytest.mark.parametrize(
    ("count", "bound_bytes", "blocks"),
    [(2, 100, (2, 4)), (3, 100, (1, 4)), (9, 100, (0, 6)), (4, 20, (2, 4)), (1, 0, (2, 3))],
)
def test_what_is_measured_first_are_blocks_of_the_middle(count: int, bound_bytes: int, blocks: tuple[int, int]) -> None:
    assert middle_blocks((10,) * 6, count, bound_bytes) == blocks


def test_the_first_report_is_compared_with_the_blocks_it_is_of() -> None:
    # All but the first layer take a second; the first three take seven.
    device = DeviceTimes((5.0, 1.0, 1.0, 1.0, 1.0, 1.0), first_blocks=(0, 3))
    assert Pace(device).of(14 / 3, 0, 0) == pytest.approx(2.0)


def test_another_speed_is_drift_with_or_without_a_profile() -> None:
    before, now = (make_facts(satellites=[measured("sat1", block_s)]) for block_s in (1.0, 2.0))
    assert drift(before, now) == "sat1 takes 2 s a block, it was 1 s" and drift(now, now) == ""


def test_a_report_is_compared_with_the_blocks_it_is_of() -> None:
    assert Pace(UNEQUAL).of(10.0, 0, 1) == pytest.approx(2.0)
    assert Pace(UNEQUAL).of(2.0, 1, 6) == pytest.approx(2.0)
    assert Pace(UNEQUAL).of(2.0, 0, 0) == pytest.approx(2.0), "without blocks, it has measured the first blocks"


BLOCKS_RUN = st.integers(0, 5).flatmap(lambda a: st.tuples(st.just(a), st.integers(a + 1, 6)))


@given(st.lists(st.tuples(BLOCKS_RUN, st.integers(1, 9)), max_size=20))
def test_new_blocks_do_not_look_like_another_speed(runs: list[tuple[tuple[int, int], int]]) -> None:
    """A satellite of twice the measured time that reports its moving average after some batches of some blocks."""
    pace, average_s = Pace(UNEQUAL), 2.0
    assert pace.of(average_s, 0, 0) == pytest.approx(2.0)
    for (start, stop), batches in runs:
        for _ in range(batches):
            average_s += WEIGHT * (2 * UNEQUAL.mean_s(start, stop) - average_s)
        assert pace.of(average_s, start, stop) == pytest.approx(2.0)
        assert pace.of(average_s, start, stop) == pytest.approx(2.0), "the same report again is no new batch"


@given(BLOCKS_RUN, BLOCKS_RUN, st.floats(0.1, 10))
def test_another_speed_shows_however_the_blocks_change(
    before: tuple[int, int], now: tuple[int, int], factor: float
) -> None:
    # The same figure again is no news: to the last bit, another speed of other blocks does not look like it.
    assume(factor * UNEQUAL.mean_s(*now) != UNEQUAL.mean_s(*before))
    pace, average_s, seen = Pace(UNEQUAL), UNEQUAL.mean_s(*before), 1.0
    pace.of(average_s, *before)
    for _ in range(60):
        average_s += WEIGHT * (factor * UNEQUAL.mean_s(*now) - average_s)
        seen = pace.of(average_s, *now)
    assert seen == pytest.approx(factor, rel=1e-3)


def test_an_instant_satellite_does_not_stop_the_reckoning() -> None:
    pace = Pace(UNEQUAL)
    assert pace.of(0.0, 0, 1) == 0.0 and pace.of(2.0, 1, 6) == pytest.approx(2.0)


def test_the_next_life_of_a_satellite_measures_anew() -> None:
    pace = Pace(UNEQUAL)
    assert pace.of(10.0, 0, 1) == pytest.approx(2.0)
    assert pace.of(3.0, 0, 0) == pytest.approx(3.0)


def test_coding_costs_what_it_costs_the_slowest_device() -> None:
    settings = [Setting("int8", 0.25, 0.9), Setting("raw", 1.0, 0.91)]
    other = DeviceTimes((1.0,), {"int8": (1e-9, 2e-9)})
    int8, raw = with_costs(settings, [UNEQUAL, other])
    assert (int8.encode_s_per_byte, int8.decode_s_per_byte, int8.ratio, int8.accuracy) == (3e-9, 2e-9, 0.25, 0.9)
    assert not raw.costly and with_costs(settings, []) == settings


def test_a_setting_that_no_device_measured_keeps_its_own_cost() -> None:
    settings = [Setting("int8", 0.25, 0.9, 7e-9, 6e-9), Setting("raw", 1.0, 0.91, 5e-9, 4e-9)]
    assert with_costs(settings, []) == settings
    int8, raw = with_costs(settings, [UNEQUAL])
    assert (int8.encode_s_per_byte, int8.decode_s_per_byte) == (3e-9, 1e-9) and raw == settings[1]
