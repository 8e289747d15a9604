"""Satellites whose device was measured beforehand, among others, as a planner hears them."""

from dataclasses import replace

import pytest
from prior_facts import NAMES, PRIOR, SPEC

from satllm_ros.planning.problem.problem import Setting
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.plan import Plan
from satllm_ros.replanning.decision import Assignment, predicted_s
from satllm_ros.replanning.fleet_state import FleetState, NonsenseError, Stream
from satllm_ros.replanning.flight_planner import FlightPlanner
from satllm_ros.replanning.load_rates import LoadRates
from satllm_ros.replanning.measured import DeviceTimes

UNEQUAL = DeviceTimes((5.0, 1.0, 1.0, 1.0, 1.0, 1.0), {"int8": (3e-9, 1e-9)})


@pytest.fixture
def fleet() -> FleetState:
    made = FleetState(PRIOR, {"sat1": UNEQUAL})
    made.on_stream(Stream(20, 0, 100.0))
    return made


def test_the_profile_gives_the_shape_and_the_reports_the_speed(fleet: FleetState) -> None:
    for name in NAMES:
        fleet.on_satellite(name, 2.0, 1e6, None, 1.0, runs=(2, 5))
    facts = fleet.facts(NAMES)
    assert facts is not None
    first, second = facts.satellites
    assert first.layer_s(6, 1) == pytest.approx([10.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    assert second.layer_s(6, 1) == [2.0] * 6
    assert facts.settings[1].encode_s_per_byte == 3e-9
    alone = fleet.facts(["sat2"])
    assert alone is not None and list(alone.settings) == list(PRIOR.settings)


def test_settings_cost_what_they_state_until_a_device_says_otherwise() -> None:
    settings = [Setting("raw", 1.0, 0.9, 2e-9, 2e-9), Setting("int8", 0.25, 0.89, 5e-3, 5e-3)]
    made = FleetState(replace(PRIOR, settings=settings), {"sat1": UNEQUAL})
    made.on_stream(Stream(20, 0, 100.0))
    for name in NAMES:
        made.on_satellite(name, 2.0, 1e6, None, 1.0, runs=(2, 5))
    unmeasured, both = made.facts(["sat2"]), made.facts(NAMES)
    assert unmeasured is not None and list(unmeasured.settings) == settings
    assert both is not None and [s.encode_s_per_byte for s in both.settings] == [2e-9, 3e-9]
    # The costly setting is predicted with its cost: 5 ms an fp32 byte, each way, at the one cut.
    split = [Assignment("sat1", 0, 3, "int8"), Assignment("sat2", 3, 6, "int8")]
    free = replace(both, settings=[replace(s, encode_s_per_byte=0.0, decode_s_per_byte=0.0) for s in settings])
    dear = replace(both, settings=settings)
    cut_bytes = 4 * PRIOR.batch_tiles * SPEC.tokens * SPEC.width
    assert predicted_s(dear, split) - predicted_s(free, split) == pytest.approx((20 + 1) * 5e-3 * cut_bytes, rel=1e-6)


def test_one_odd_report_does_not_move_a_measured_satellite(fleet: FleetState) -> None:
    for now_s, figure in enumerate((2.0, 2.0, 2.0, 50.0, 2.0)):
        fleet.on_satellite("sat1", figure, 1e6, None, float(now_s), runs=(2, 5))
    facts = fleet.facts(["sat1"])
    assert facts is not None and facts.satellites[0].layer_s(6, 1)[1] == pytest.approx(2.0)


def test_an_emulated_speed_is_what_flies(fleet: FleetState) -> None:
    fleet.on_satellite("sat1", 2.0, 1e6, None, 1.0, runs=(0, 1), emulated=True)
    fleet.on_satellite("sat2", 2.0, 1e6, None, 1.0)
    facts = fleet.facts(NAMES)
    assert facts is not None
    assert facts.satellites[0].layer_s(6, 1) == [2.0] * 6 and list(facts.settings) == list(PRIOR.settings)
    planner = FlightPlanner(fleet, LoadRates(1e3), source="sensing", say=print)
    draft = planner.split(NAMES)
    assert draft is not None
    _, lines = planner.explained(Plan(**{**vars(draft), "epoch": Epoch(1, 1), "planner_id": "/p"}).sealed())
    assert lines[-1] == "not used: profile of sat1; the speed flown there is emulated"


@pytest.mark.parametrize("runs", [(3, 2), (0, SPEC.blocks + 1), (2**32 - 1, 2**32 - 1)])
def test_blocks_that_the_model_has_not_are_nonsense(fleet: FleetState, runs: tuple[int, int]) -> None:
    with pytest.raises(NonsenseError, match="runs blocks"):
        fleet.on_satellite("sat1", 1.0, 1e6, None, 1.0, runs=runs)
    assert fleet.facts(["sat1"]) is None


@pytest.mark.parametrize("figure", [0.0, 5e-324, 1e6])
def test_extreme_speeds_of_a_measured_satellite_still_make_a_plan(fleet: FleetState, figure: float) -> None:
    for name in NAMES:
        fleet.on_satellite(name, figure, 1e6, None, 1.0, runs=(1, 2))
    planner = FlightPlanner(fleet, LoadRates(1e3), source="sensing", say=print)
    assert planner.split(NAMES) is not None
