"""On real links plans reckon with what flow controllers let out, and with the patience of those who wait."""

from dataclasses import replace

import pytest
from flight_facts import make_facts

from satllm_ros.links.real_links import CONTROLLER_SHARE, goodput_bps
from satllm_ros.planning.patience import LONGEST_COMPUTE_S, LONGEST_DOWNLINK_S, LONGEST_SEND_S, too_long, too_slow
from satllm_ros.planning.problem.problem import Link
from satllm_ros.planning.problem.solution import Solution
from satllm_ros.replanning.flight import FlightFacts, LinkFacts, flight_problem
from satllm_ros.replanning.selection import best_selection

SLOW, FAST = 2e6, 5e8
# The slow link is a long one: there is room on it for what is sent again.
LONG_S = 0.3


def facts(real_links: bool = True, measured_bps: float | None = None) -> FlightFacts:
    measured = {} if measured_bps is None else {("sat1", "sat2"): Link(measured_bps, 0.1)}
    links = LinkFacts(Link(FAST), Link(SLOW, LONG_S), Link(FAST), measured)
    return make_facts(1.0, 1.0, memory_bytes=300, links=links, real_links=real_links)


def rates(given: FlightFacts) -> list[float]:
    return [link.rate_bps for link in flight_problem(given).links]


def test_emulated_links_carry_their_rate_and_real_ones_their_goodput() -> None:
    assert rates(facts(False)) == [FAST, SLOW, FAST]
    assert rates(facts()) == [goodput_bps(FAST, 0.0), goodput_bps(SLOW, LONG_S), goodput_bps(FAST, 0.0)]
    assert goodput_bps(SLOW, LONG_S) == pytest.approx(goodput_bps(SLOW, 0.0) / 1.05)
    assert 0.9 * CONTROLLER_SHARE * SLOW < goodput_bps(SLOW, 0.0) < CONTROLLER_SHARE * SLOW


@pytest.mark.parametrize(
    ("measured_bps", "planned_bps"), [(1e6, 1e6), (SLOW, goodput_bps(SLOW, LONG_S)), (FAST, goodput_bps(SLOW, LONG_S))]
)
def test_what_is_measured_counts_up_to_what_the_controller_lets_out(measured_bps: float, planned_bps: float) -> None:
    problem = flight_problem(facts(measured_bps=measured_bps))
    assert problem.links[1] == Link(planned_bps, 0.1)


def solved(upload_bps: float = FAST, isl_bps: float = FAST, s2g_bps: float = FAST, tiles: int = 10) -> Solution:
    links = LinkFacts(*(Link(rate) for rate in (upload_bps, isl_bps, s2g_bps)))
    made = make_facts(1.0, 1.0, memory_bytes=300, links=links, real_links=True, batch_tiles=tiles)
    _, outcome = best_selection(replace(made, upload_tile_bytes=1e6))
    assert isinstance(outcome, Solution) and len(outcome.stages) == 2
    return outcome


def test_links_that_hold_a_batch_longer_than_it_is_waited_for_are_named_with_the_size_that_would_do() -> None:
    assert too_long(solved(), 10, source="sensing") == []
    slow = solved(upload_bps=1e6)
    (said,) = too_long(slow, 10, source="sensing")
    assert said.startswith("a batch of 10 tiles takes 106 s from sensing to sat1, and is waited for 60 s at most;")
    tiles = int(said.rpartition("batch_tiles ")[2])
    assert too_long(solved(upload_bps=1e6, tiles=tiles), tiles, source="sensing") == []
    assert too_long(solved(upload_bps=1e6, tiles=tiles + 1), tiles + 1, source="sensing")
    assert too_long(slow, 10, source="sensing", upload_is_known=False) == []


def test_each_kind_of_link_is_judged() -> None:
    (between,) = too_long(solved(isl_bps=60.0), 10, source="sensing")
    assert "from sat1 to sat2" in between and f"{LONGEST_SEND_S:.0f} s at most" in between
    (down,) = too_long(solved(s2g_bps=300.0), 10, source="sensing")
    assert "from sat2 to the ground" in down and f"{LONGEST_DOWNLINK_S:.0f} s at most" in down
    assert "not even single tiles fit" in too_long(solved(upload_bps=1e4), 10, source="sensing")[0]


def test_a_batch_that_would_keep_a_satellite_still_until_it_is_taken_for_dead_is_refused() -> None:
    assert too_slow(solved(), 10) == []
    slow = solved(tiles=100)
    (said, _) = too_slow(slow, 100)
    assert f"s on sat1, and who does not move for longer than {LONGEST_COMPUTE_S:.0f} s is taken for dead" in said
    assert too_slow(solved(tiles=int(said.rpartition("batch_tiles ")[2])), 10) == []


def test_ten_megabytes_at_two_megabits_are_flown() -> None:
    assert 8 * 10e6 / goodput_bps(2e6, 0.0) < LONGEST_SEND_S
