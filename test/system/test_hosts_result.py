"""Flights on hosts of their own are held against the goals, and a row says what was missed."""

from dataclasses import replace
from pathlib import Path

import pytest
from hosts.catalogue import SCENARIOS
from hosts.fleet import STORE, Fleet, Order, environment_of_a_host
from hosts.flown import Flown
from hosts.fly import Watch
from hosts.result import Result, goal_complaints, replan_complaints
from hosts.scenario import End, Outage, Plan, both_ways
from hosts.table import HEADINGS, cells, markdown

from satllm_ros.protocol.identity import Epoch, TileKey
from satllm_ros.storage.prediction_store import PredictionStore, StoredTile

STEADY = Plan(50, 10, both_ways(8), is_steady=True)
GOOD = Result("steady", 500, 0, 0, 0, predicted_s=40.0, measured_s=41.0, wire_ratio=1.05, control_kbps=20.0)
SEEN = Flown([0], 41.0, {}, {}, 60.0, 0, 0, None, [])


def test_a_flight_within_all_goals_has_no_complaint() -> None:
    assert goal_complaints(STEADY, SEEN, GOOD) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"measured_s": 43.0}, "makespan 1.07 of the prediction"),
        ({"measured_s": 37.0}, "makespan 0.93 of the prediction"),
        ({"wire_ratio": 0.5}, "0.50 of the payload on the wire: frames were not told apart"),
        ({"wire_ratio": 1.15}, "1.15 of the payload on the wire, 1.10 allowed"),
    ],
)
def test_a_missed_goal_is_said(change: dict[str, float], said: str) -> None:
    assert goal_complaints(STEADY, SEEN, replace(GOOD, **change)) == [said]


def test_a_steady_flight_has_one_plan_from_beginning_to_end() -> None:
    assert replan_complaints(STEADY, GOOD) == []
    (said,) = replan_complaints(STEADY, replace(GOOD, predicted_s=None))
    assert "more than one plan" in said
    assert replan_complaints(replace(STEADY, is_steady=False), replace(GOOD, predicted_s=None)) == []


def test_more_may_be_on_a_wire_that_loses_frames() -> None:
    lossy = replace(STEADY, line=both_ways(8, loss=0.01))
    assert goal_complaints(lossy, SEEN, replace(GOOD, wire_ratio=1.15)) == []


def test_frames_that_were_not_counted_spoil_the_count() -> None:
    assert goal_complaints(STEADY, replace(SEEN, missed_frames=3), GOOD) == ["3 frames were not counted"]


@pytest.mark.parametrize(("outage_s", "recovery_s", "is_late"), [(10, 4, 0), (10, 6, 1), (45, 6, 0), (45, 11, 1)])
def test_recovery_may_take_longer_after_a_long_outage(outage_s: float, recovery_s: float, is_late: bool) -> None:
    plan = Plan(50, 1, both_ways(8), faults=(Outage("ground", End.FRAMES_DROPPED, outage_s),))
    found = goal_complaints(plan, replace(SEEN, recoveries_s=[recovery_s]), GOOD)
    assert bool(found) is bool(is_late)


@pytest.mark.parametrize(("silence_s", "is_late"), [(6.0, 0), (12.0, 1)])
def test_a_satellite_that_is_cut_off_is_planned_around_in_time(silence_s: float, is_late: int) -> None:
    plan = Plan(50, 1, both_ways(20), faults=(Outage("sat2", End.FRAMES_DROPPED, 20),))
    found = goal_complaints(plan, replace(SEEN, recoveries_s=[0.1]), replace(GOOD, silence_s=silence_s))
    assert len(found) == is_late


def test_a_row_has_a_cell_a_heading() -> None:
    assert len(cells(GOOD)) == len(HEADINGS)
    flown = replace(GOOD, scenario=SCENARIOS[1].name)
    row = f"| {SCENARIOS[1].name} | 500 | 0 | 0 | 40.0 s | 41.0 s | 1.05 | 20 kbit/s |  |  |  | passed |"
    assert markdown([flown], "").splitlines()[2:] == [row]
    # Of what was flown elsewhere, the row stays.
    earlier = f"| {SCENARIOS[0].name} | of another day |"
    assert markdown([flown], f"text\n\n{earlier}\n{row.replace('500', '7')}").splitlines()[2:] == [earlier, row]


def test_names_of_scenarios_are_their_own() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)


def test_processes_of_a_host_choose_no_middleware_and_import_no_tests() -> None:
    inherited = {
        "HOME": "/root",
        "PYTHONPATH": f"{__file__.rsplit('/', 1)[0]}:/opt/ros/site-packages",
        "FASTDDS_BUILTIN_TRANSPORTS": "SHM",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    given = environment_of_a_host(inherited)
    assert given["PYTHONPATH"] == "/opt/ros/site-packages" and given["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"
    assert "FASTDDS_BUILTIN_TRANSPORTS" not in given and given["HOME"] == "/root"


def test_silence_and_recovery_are_of_tiles_that_are_new() -> None:
    watch = Watch([], batch_tiles=1)
    watch.came_s = [1.0, 2.0, 9.0, 9.5]
    assert watch.silence_s(3.0) == 6.0 and watch.silence_s(9.2) == pytest.approx(0.3) and watch.silence_s(9.5) is None
    assert watch.next_after(2.0) == 7.0 and watch.next_after(9.5) is None


def test_tiles_are_counted_in_the_grounds_store_while_it_is_written(tmp_path: Path) -> None:
    fleet = Fleet(Order("satllm", "constellation.yaml", str(tmp_path), ("sat1",)), {})
    assert fleet.tiles_down() == 0
    store = PredictionStore(tmp_path / "ground" / STORE)
    key, epoch = TileKey("bag", 7, 0), Epoch(1, 1)
    store.write([StoredTile(key, 3, 0.0, 1.0, "model", epoch, "plan")])
    assert fleet.tiles_down() == 1
    store.close()


def test_hosts_of_several_constellations_have_names_of_their_own() -> None:
    order = Order("satllm", "constellation.yaml", "runs", ("sat1",), namespace="a")
    assert [order.host(process) for process in order.processes] == ["a-sat1", "a-planner", "a-ground", "a-sensing"]
