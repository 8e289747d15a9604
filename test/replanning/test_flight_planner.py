"""What a planner makes of what it hears: plans, reasons for a new look, and decisions that are said once."""

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prior_facts import NAMES, PRIOR

from satllm_ros.links.real_links import goodput_bps
from satllm_ros.planning.problem.problem import Link, Setting
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.plan import MAX_EPOCH, Plan
from satllm_ros.protocol.signals import Report
from satllm_ros.protocol.vocabulary import Readiness
from satllm_ros.replanning.fleet_state import MEASURED_FOR_S, FleetState, NonsenseError, Stream
from satllm_ros.replanning.flight import LinkFacts
from satllm_ros.replanning.flight_planner import FlightPlanner
from satllm_ros.replanning.load_rates import LoadRates
from satllm_ros.replanning.median_filter import MedianFilter
from satllm_ros.storage.incarnation import read_incarnation, write_incarnation

KEY = (Epoch(1, 1), "f" * 16)


class Bench:
    """A flight planner and what it says, fed a report a second."""

    def __init__(self, load_bytes_per_s: float = 1e3) -> None:
        self.fleet = FleetState(PRIOR)
        self.rates = LoadRates(load_bytes_per_s)
        self.said: list[str] = []
        self.planner = FlightPlanner(self.fleet, self.rates, source="sensing", say=self.said.append)
        self.fleet.on_stream(Stream(20, 0, 100.0))
        self._now_s = 0.0

    def report(self, *block_s: float, rounds: int = 1, memory_bytes: float = 1e6, pinned: str | None = None) -> None:
        for _ in range(rounds):
            self._now_s += 1.0
            for name, figure in zip(NAMES, block_s, strict=False):
                self.fleet.on_satellite(name, figure, memory_bytes, pinned, self._now_s)

    def fly(self, *alive: str) -> Plan:
        draft = self.planner.split(alive or NAMES)
        assert draft is not None
        return Plan(**{**vars(draft), "epoch": Epoch(1, 1), "planner_id": "/p"}).sealed()


def stops(plan: Plan) -> list[tuple[str, int]]:
    return [(stage.satellite, stage.stop) for stage in plan.stages]


def test_a_slow_link_is_crossed_where_the_setting_takes_least() -> None:
    # Compute is all alike; the link is what counts.
    links = LinkFacts(Link(1e9), Link(1e3), Link(1e9))
    setting = Setting("int8", (0.3, 0.3, 0.3, 0.1, 0.3), 0.89, loss=(0.0, 0.0, 0.0, 0.02, 0.0))
    fleet = FleetState(replace(PRIOR, settings=[setting], links=links))
    fleet.on_stream(Stream(20, 0, 100.0))
    planner = FlightPlanner(fleet, LoadRates(1e3), source="sensing", say=print)
    for name in NAMES:
        fleet.on_satellite(name, 1e-3, 500.0, None, 1.0)
    draft = planner.split(NAMES)
    assert draft is not None and stops(draft) == [("sat1", 4), ("sat2", 6)]


def test_nothing_is_planned_before_anything_is_known() -> None:
    fleet = FleetState(PRIOR)
    planner = FlightPlanner(fleet, LoadRates(1e3), source="sensing", say=print)
    assert planner.split(NAMES) is None and "nothing was reported" in planner.why_not
    assert planner.split(()) is None and "no satellite is alive" in planner.why_not


def test_batches_that_would_be_too_long_on_a_real_link_are_refused_with_the_size_that_would_do() -> None:
    bench = Bench()
    bench.fleet = FleetState(replace(PRIOR, real_links=True))
    bench.planner = FlightPlanner(bench.fleet, bench.rates, source="sensing", say=bench.said.append)
    bench.fleet.on_stream(Stream(20, 0, 5e9))
    bench.report(1.0, 1.0)
    assert bench.planner.split(NAMES) is None
    assert "a batch of 2 tiles takes 101 s from sensing to sat1" in bench.planner.why_not
    assert bench.planner.why_not.endswith("nearest change: batch_tiles 1")
    bench.fleet.on_stream(Stream(20, 0, 100.0))
    assert bench.planner.split(NAMES) is not None and bench.planner.why_not == ""


def test_a_lasting_slow_down_is_a_reason_and_worth_a_move() -> None:
    bench = Bench()
    bench.report(1.0, 1.0)
    plan = bench.fly()
    assert stops(plan) == [("sat1", 3), ("sat2", 6)] and bench.planner.reason(plan, NAMES) == ""
    bench.report(1.0, 4.0, rounds=5)
    assert bench.planner.reason(plan, NAMES) == "sat2 takes 4 s a block, it was 1 s"
    draft = bench.planner.split(NAMES)
    assert stops(draft) == [("sat1", 5), ("sat2", 6)] and bench.planner.is_worth_it(draft, plan)
    assert bench.said[0].startswith("leave plan 1.1: a new split gains 278 s")
    assert bench.planner.reason(plan, NAMES) == ""


def rate_of(fleet: FleetState) -> float:
    facts = fleet.facts(NAMES)
    assert facts is not None
    return facts.links.of("sat1", "sat2").rate_bps


def test_what_was_measured_of_a_link_is_planned_with_where_it_contradicts_the_modem() -> None:
    bench = Bench()
    bench.report(1.0, 1.0)
    fleet = bench.fleet
    fleet.on_link("sat1", "sat2", (8e6, 0.01), 1.0)
    fleet.on_link("sat1", "sat2", (7.5e6, 0.2), 2.0, measured=True)
    assert rate_of(fleet) == 8e6, "within the band it confirms the modem's word"
    for now_s in range(3, 8):
        fleet.on_link("sat1", "sat2", (5e6, 0.2), float(now_s), measured=True)
    assert rate_of(fleet) == 5e6
    facts = fleet.facts(NAMES)
    assert facts is not None and facts.links.of("sat1", "sat2").propagation_s == 0.01
    fleet.on_link("sat1", "sat2", (8e6, 0.01), 8.0)
    assert rate_of(fleet) == 5e6, "the same word again is no news"
    for now_s in range(9, 14):
        fleet.on_link("sat1", "sat2", (1e6, 0.01), float(now_s))
    assert rate_of(fleet) == 1e6, "what was measured before the modem changed its rate says nothing any more"


def test_what_was_measured_on_a_link_that_is_used_no_more_is_forgotten_in_time() -> None:
    bench = Bench()
    bench.report(1.0, 1.0)
    fleet = bench.fleet
    fleet.on_link("sat1", "sat2", (8e6, 0.01), 1.0)
    fleet.on_link("sat1", "sat3", (8e6, 0.01), 1.0)
    fleet.on_link("sat1", "sat2", (1e6, 0.2), 1.0, measured=True)
    assert rate_of(fleet) == 1e6
    fleet.on_link("sat1", "sat3", (8e6, 0.01), MEASURED_FOR_S)
    assert rate_of(fleet) == 1e6
    fleet.on_link("sat1", "sat3", (8e6, 0.01), MEASURED_FOR_S + 2.0)
    assert rate_of(fleet) == 8e6


def test_on_a_real_link_what_the_controller_lets_out_confirms_the_modem() -> None:
    bench = Bench()
    bench.fleet = FleetState(replace(PRIOR, real_links=True))
    bench.planner = FlightPlanner(bench.fleet, bench.rates, source="sensing", say=bench.said.append)
    bench.fleet.on_stream(Stream(20, 0, 100.0))
    bench.report(1.0, 1.0)
    plan = bench.fly()
    stated = PRIOR.links.isl.rate_bps
    for now_s in range(1, 6):
        bench.fleet.on_link("sat1", "sat2", (stated, 0.0), float(now_s))
        bench.fleet.on_link("sat1", "sat2", (0.99 * goodput_bps(stated, 0.0), 0.0), float(now_s), measured=True)
    assert rate_of(bench.fleet) == goodput_bps(stated, 0.0)
    assert bench.planner.reason(plan, NAMES) == ""
    for now_s in range(6, 11):
        bench.fleet.on_link("sat1", "sat2", (0.5 * goodput_bps(stated, 0.0), 0.0), float(now_s), measured=True)
    assert "link sat1 to sat2 carries" in bench.planner.reason(plan, NAMES)


def test_without_a_modem_what_was_measured_takes_the_place_of_the_file() -> None:
    bench = Bench()
    bench.report(1.0, 1.0)
    plan = bench.fly()
    bench.fleet.on_link("sat1", "sat2", (5.0, 0.2), 1.0, measured=True)
    facts = bench.fleet.facts(NAMES)
    assert facts is not None and facts.links.of("sat1", "sat2").propagation_s == 0.2
    assert rate_of(bench.fleet) == 5.0
    assert "link sat1 to sat2 carries 5 bit/s" in bench.planner.reason(plan, NAMES)


def test_one_outlier_is_no_reason() -> None:
    bench = Bench()
    bench.report(1.0, 1.0)
    plan = bench.fly()
    for _ in range(4):
        bench.report(1.0, 50.0)
        assert bench.planner.reason(plan, NAMES) == ""
        bench.report(1.0, 1.0, rounds=4)


@given(st.randoms(use_true_random=False))
def test_jitter_of_five_percent_is_no_reason(draw: random.Random) -> None:
    bench = Bench()
    bench.report(1.0, 1.0)
    plan = bench.fly()
    for _ in range(40):
        bench.report(draw.uniform(0.95, 1.05), draw.uniform(0.95, 1.05))
        assert bench.planner.reason(plan, NAMES) == ""


@settings(deadline=None, max_examples=30)
@given(st.randoms(use_true_random=False))
def test_an_even_split_of_equal_satellites_is_not_left_for_noise(draw: random.Random) -> None:
    bench = Bench()
    bench.report(1.0, 1.0, rounds=5)
    plan = bench.fly()
    for turn in range(10):
        # A computer that is shared: one is slower for some seconds, then the other.
        noisy = [draw.uniform(1.0, 1.45), draw.uniform(1.0, 1.1)]
        for _ in range(draw.randrange(5, 9)):
            bench.report(*(noisy if turn % 2 else reversed(noisy)))
            if bench.planner.reason(plan, NAMES):
                assert not bench.planner.is_worth_it(bench.planner.split(NAMES), plan)


def test_a_small_gain_that_lasts_is_taken_in_the_end() -> None:
    bench = Bench()
    bench.report(1.0, 1.0, rounds=5)
    plan = bench.fly()
    taken = []
    for _ in range(60):
        bench.report(1.0, 1.4)
        if bench.planner.reason(plan, NAMES):
            taken.append(bench.planner.is_worth_it(bench.planner.split(NAMES), plan))
    assert taken[0] is False and taken.count(True) == 1
    doubted, left = bench.said
    assert doubted == "stay with plan 1.1: a new split gains no more than what speeds vary by"
    assert left.startswith("leave plan 1.1: a new split gains")


def test_a_move_that_does_not_pay_is_told_once_with_both_figures() -> None:
    bench = Bench(load_bytes_per_s=1.0)
    bench.report(1.0, 1.0)
    plan = bench.fly()
    for figure in (1.5, 1.8):
        bench.report(1.0, figure, rounds=5)
        assert bench.planner.reason(plan, NAMES)
        assert not bench.planner.is_worth_it(bench.planner.split(NAMES), plan)
    (sentence,) = bench.said
    assert sentence == bench.planner.decision
    assert sentence.startswith("stay with plan 1.1: a new split would gain ") and sentence.endswith("costs 400 s")


def test_the_batches_left_decide() -> None:
    bench = Bench(load_bytes_per_s=20.0)
    bench.report(1.0, 1.0)
    plan = bench.fly()
    bench.report(1.0, 4.0, rounds=5)
    assert bench.planner.is_worth_it(bench.planner.split(NAMES), plan)
    # 20 batches of two tiles, all but one settled.
    bench.fleet.on_stream(Stream(20, 38, 100.0))
    assert not bench.planner.is_worth_it(bench.planner.split(NAMES), plan)


def test_memory_that_shrinks_below_the_need_is_a_reason_however_little_it_shrinks() -> None:
    bench = Bench()
    bench.report(1.0, 1.0, memory_bytes=310)
    plan = bench.fly()
    bench.report(1.0, 1.0, memory_bytes=299)
    assert bench.planner.reason(plan, NAMES) == "sat1, sat2 no longer has the memory for its blocks"
    assert bench.planner.split(NAMES) is None and "memory is too small" in bench.planner.why_not
    assert bench.planner.reason(plan, NAMES) == ""


def test_who_returns_is_a_reason_again() -> None:
    bench = Bench()
    bench.report(1.0, 1.0)
    bench.fly()
    alone = bench.fly("sat1")
    assert stops(alone) == [("sat1", 6)]
    assert bench.planner.reason(alone, NAMES) == "sat2 can be planned with"
    together = bench.planner.split(NAMES)
    assert bench.planner.is_worth_it(together, alone)
    assert bench.planner.reason(alone, ("sat1",)) == ""
    assert bench.planner.reason(alone, NAMES) == "sat2 can be planned with"


def test_a_planner_that_starts_late_looks_once() -> None:
    bench = Bench()
    bench.report(1.0, 1.0)
    plan = bench.fly()
    late = FlightPlanner(bench.fleet, bench.rates, source="sensing", say=bench.said.append)
    assert late.reason(plan, NAMES)
    assert not late.is_worth_it(late.split(NAMES), plan)
    assert late.reason(plan, NAMES) == "" and bench.said[-1] == "stay with plan 1.1: it is still the best"


def test_pinned_settings_are_told_and_reckoned_with() -> None:
    bench = Bench()
    bench.report(1.0, 1.0, pinned="raw")
    plan = bench.fly()
    explained, lines = bench.planner.explained(plan)
    assert lines[-1] == "sat1 sends raw, pinned by an operator, not int8"
    assert explained.digest() == explained.plan_hash == plan.plan_hash, "what is filled in must not break the seal"
    assert explained.explanation.endswith(lines[-1])
    assert explained.predicted_makespan_s > 0


def test_loads_are_timed() -> None:
    rates = LoadRates(1e3)
    rates.on_proposal(KEY, {"sat1": 300.0})
    for now_s, name, readiness in ((1.0, "sat1", 1), (2.0, "sat1", 1), (2.5, "sat2", 2), (4.0, "sat1", 2)):
        rates.on_report(Report(name, 1, KEY, Readiness(readiness)), now_s)
    rates.on_report(Report("sat1", 1, (Epoch(1, 2), ""), Readiness.LOADING), 5.0)
    assert (rates.bytes_per_s("sat1"), rates.bytes_per_s("sat2")) == (100.0, 1e3)


def test_a_burst_of_reports_is_one_sample() -> None:
    figure = MedianFilter()
    figure.add(1.0, 0.0)
    for i in range(50):
        figure.add(9.0, 1.0 + i / 1000)
    assert figure.value == 1.0
    for now_s in (2.0, 3.0):
        figure.add(9.0, now_s)
    assert figure.value == 9.0


@pytest.mark.parametrize("figure", [math.nan, math.inf, -1.0, 1e30])
def test_nonsense_is_refused_and_changes_nothing(figure: float) -> None:
    bench = Bench()
    bench.report(1.0, 1.0)
    before = bench.fleet.facts(NAMES)
    with pytest.raises(NonsenseError):
        bench.fleet.on_satellite("sat1", figure, 1.0, None, 9.0)
    for link in ((figure, 0.0), (1.0, figure)):
        with pytest.raises(NonsenseError):
            bench.fleet.on_link("sat1", "sat2", link, 9.0)
    with pytest.raises(NonsenseError):
        bench.fleet.on_stream(Stream(1, 0, figure))
    assert bench.fleet.facts(NAMES) == before


@pytest.mark.parametrize(
    ("expected", "settled", "left"), [(0, 99, 64), (20, 0, 20), (20, 39, 1), (20, 2**64, 1), (2**64 - 1, 0, 10**9)]
)
def test_batches_left(expected: int, settled: int, left: int) -> None:
    assert Stream(expected, settled, 1.0).batches_left(2, 64) == left


def test_an_incarnation_outlives_its_planner(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "planner.incarnation"
    assert read_incarnation(path) == 0
    for incarnation in (7, MAX_EPOCH):
        write_incarnation(path, incarnation)
        assert read_incarnation(path) == incarnation


@pytest.mark.parametrize("content", [b"", b"seven", b"-1", b"1_0", b"\xff\xfe", b"1.5", b"9" * 100, b"1 2"])
def test_a_broken_incarnation_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "planner.incarnation"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"planner\.incarnation holds .*whole number from 0 to"):
        read_incarnation(path)
