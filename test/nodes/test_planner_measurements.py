"""The planner and its files of measurements over DDS: the plans they give, their ages, and files that do not fit."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter as RosParameter
from scripted_satellites import ROOT, Satellite, Script, Stand

from satllm_ros.assets.paths import checkpoint_path
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes.planner import PlannerNode
from satllm_ros.profiling.files import BlockTimes, CodecCost, Profile, save_profile
from satllm_ros.protocol.plan import Plan

NAMES = ("sat1", "sat2", "sat3")
SPEC = read_spec(checkpoint_path("demo"))
# Seconds one tile takes in each layer of these devices: the first takes as long as six others.
LAYER_S = (0.06, *[0.01] * (SPEC.blocks - 1))
TILES = 10


@pytest.fixture
def profile_file(tmp_path: Path) -> Path:
    then = (datetime.now(timezone.utc) - timedelta(days=3, hours=1)).isoformat()
    times = BlockTimes(TILES, 1, tuple(TILES * s for s in LAYER_S))
    costs = {"int8": CodecCost(1e-9, 1e-9, 0.2)}
    save_profile(tmp_path / "p.yaml", Profile(SPEC.model_id, "Some CPU, 2 cores", then, (times,), codecs=costs))
    return tmp_path / "p.yaml"


@pytest.fixture
def calibration_file(tmp_path: Path) -> Path:
    then = (datetime.now(timezone.utc) - timedelta(hours=5, minutes=1)).isoformat()
    settings = {"int8": {"alike": {"accuracy": 0.5, "ratio": 0.2}}, "raw": {"alike": {"accuracy": 0.6, "ratio": 1.0}}}
    document = {"format": "satllm-calibration", "version": 1, "model_id": SPEC.model_id, "measured_at": then}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(document | {"settings": settings}))
    return tmp_path / "c.yaml"


@pytest.fixture
def stand(context: rclpy.Context) -> Iterator[Stand]:
    made = Stand(context, Script(context, {name: Satellite(layer_s=LAYER_S) for name in NAMES}))
    yield made
    made.close()


@pytest.fixture
def make(context: rclpy.Context, tmp_path: Path) -> Callable[..., PlannerNode]:
    def make_planner(**parameters: Any) -> PlannerNode:
        values = {"satellites": list(NAMES), "state_directory": str(tmp_path), "start_s": 60.0, "batch_tiles": TILES}
        return PlannerNode(
            context=context,
            namespace=ROOT,
            parameter_overrides=[RosParameter(key, value=value) for key, value in (values | parameters).items()],
        )

    return make_planner


def blocks_of(plan: Plan) -> list[int]:
    return [stage.stop - stage.start for stage in plan.stages]


def first_plan(stand: Stand, planner: PlannerNode) -> Plan:
    stand.add(planner)
    stand.until(lambda: stand.script.committed, "a plan")
    return stand.script.committed[0]


def hear(stand: Stand, rounds: int) -> None:
    """So many further statuses of all satellites."""
    published = stand.script.rounds
    stand.until(lambda: stand.script.rounds >= published + rounds, "further reports")


def of_all(path: Path) -> list[str]:
    return [f"{name}={path}" for name in NAMES]


def test_unequal_layers_are_split_by_their_times_and_stay_so(
    stand: Stand, make: Callable[..., PlannerNode], profile_file: Path
) -> None:
    first = first_plan(stand, make(profiles=of_all(profile_file)))
    # 0.06 s, 0.06 s and 0.05 s a tile.
    assert blocks_of(first)[0] == 1 and sorted(blocks_of(first)) == [1, 5, 6]
    # The first satellite now says 0.06 s a block, since its block is the slow one: that is no news.
    stand.until(lambda: stand.script.told("planner", "active") == str(first.epoch), "the commit heard")
    hear(stand, 40)
    assert len(stand.script.proposals) == 1


def test_equal_blocks_are_assumed_without_a_profile(stand: Stand, make: Callable[..., PlannerNode]) -> None:
    assert blocks_of(first_plan(stand, make())) == [4, 4, 4]


def test_a_device_that_slows_down_gets_less_of_the_unequal_layers(
    stand: Stand, make: Callable[..., PlannerNode], profile_file: Path
) -> None:
    first = first_plan(stand, make(profiles=of_all(profile_file)))
    stand.script.satellites["sat2"].layer_s = tuple(4 * s for s in LAYER_S)
    stand.until(lambda: len(stand.script.committed) > 1, "another plan")
    before, now = first.stage_of("sat2"), stand.script.committed[1].stage_of("sat2")
    assert before is not None and (now is None or now.stop - now.start < before.stop - before.start)


def test_an_emulated_speed_is_planned_with_whatever_was_measured(
    stand: Stand, make: Callable[..., PlannerNode], profile_file: Path
) -> None:
    for satellite in stand.script.satellites.values():
        satellite.layer_s, satellite.emulated = (), True
    plan = first_plan(stand, make(profiles=of_all(profile_file)))
    assert blocks_of(plan) == [4, 4, 4]
    assert "not used: profile of sat1, sat2, sat3; the speed flown there is emulated" in plan.explanation


def test_ages_are_logged_and_in_the_diagnostics(
    stand: Stand,
    make: Callable[..., PlannerNode],
    profile_file: Path,
    calibration_file: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    stand.add(make(profiles=of_all(profile_file)[:2], calibration=str(calibration_file)))
    stand.until(lambda: stand.script.told("planner", "ages [s]"), "the ages")
    ages = dict(re.findall(r"(calibration|profile of sat1, sat2) (\d+)", stand.script.told("planner", "ages [s]")))
    assert int(ages["calibration"]) >= 5 * 3600 and int(ages["profile of sat1, sat2"]) >= 3 * 86400
    logged = capfd.readouterr().err
    assert logged.count("profile of sat1, sat2 is 3 days old; measured on Some CPU, 2 cores") == 1
    assert logged.count("calibration is 5 hours old") == 1


def test_the_floor_is_held_against_the_calibrations_accuracy(
    stand: Stand, make: Callable[..., PlannerNode], calibration_file: Path
) -> None:
    # Of the two, only raw has 0.55 by the calibration; by the artefacts both have.
    plan = first_plan(stand, make(calibration=str(calibration_file), accuracy_floor=0.55))
    assert len(plan.stages) == len(NAMES) and {str(stage.setting) for stage in plan.stages} == {"raw"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"profiles": ["sat1=absent.yaml"]}, "absent.yaml"),
        ({"profiles": ["sat4=p.yaml"]}, "profile 'sat4=p.yaml' is not one file for one satellite"),
        ({"profiles": ["sat1=c.yaml"]}, "c.yaml is no satllm-profile of version 1"),
        ({"profiles": ["sat1=other.yaml"]}, "other.yaml is of model '0123456789abcdef', needed is"),
        ({"calibration": "p.yaml"}, "p.yaml is no satllm-calibration of version 1"),
        ({"calibration": "less.yaml"}, "less.yaml holds no measurement of setting 'int8'; measured: raw"),
    ],
)
def test_files_that_do_not_fit_are_told_at_configure(
    make: Callable[..., PlannerNode],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    profile_file: Path,
    calibration_file: Path,
    capfd: pytest.CaptureFixture[str],
    given: dict[str, Any],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    other = Profile("0123456789abcdef", "x", "2026-01-02T03:04:05+00:00", (BlockTimes(1, 1, LAYER_S),))
    save_profile(Path("other.yaml"), other)
    document = yaml.safe_load(calibration_file.read_text())
    del document["settings"]["int8"]
    Path("less.yaml").write_text(yaml.safe_dump(document))
    planner = make(autostart=False, **given)
    assert planner.trigger_configure() is TransitionCallbackReturn.FAILURE
    assert planner.counters["configure_failed"] == 1
    planner.destroy_node()
    logged = capfd.readouterr().err
    assert "cannot configure: " in logged and sentence in logged and "Traceback" not in logged
