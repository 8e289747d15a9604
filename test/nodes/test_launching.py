"""What the launch files share. Skipped where launch is not installed: it is part of ROS and not on PyPI."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

pytest.importorskip("launch_ros")

from launch import LaunchService
from launch.actions import ExecuteProcess, IncludeLaunchDescription
from launch.launch_description_sources import (
    PythonLaunchDescriptionSource,
    get_launch_description_from_python_launch_file,
)
from launch_ros.actions import Node

from satllm_ros.data.bag import BagError
from satllm_ros.nodes import launching
from satllm_ros.runtime.transports import PROFILE_VARIABLE

LAUNCH = Path(__file__).resolve().parents[2] / "launch"
PLAYED = {"bag": "demo", "topic": "", "namespace": "", "play": "true", "rate": ""}


def words(arguments: dict[str, str], rate: float = 1.0) -> list[str]:
    """Command line of the player."""
    played = next(action for action in launching.player(arguments, rate) if isinstance(action, ExecuteProcess))
    return ["".join(part.text for part in word) for word in played.cmd]


@pytest.mark.parametrize(
    ("play", "text", "rate"),
    [("false", "", 0.0), ("false", "2", 2.0), ("false", "0", 0.0), ("true", "", 1.0), ("True", "0.5", 0.5)],
)
def test_the_rate_of_a_replay(play: str, text: str, rate: float) -> None:
    assert launching.replay_rate({"play": play, "rate": text}) == rate


@pytest.mark.parametrize(
    ("play", "text"), [("false", "fast"), ("false", "-1"), ("false", "nan"), ("true", "0"), ("true", "inf")]
)
def test_a_rate_that_makes_no_sense_is_refused(play: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"rate is '{text}'"):
        launching.replay_rate({"play": play, "rate": text})


@pytest.mark.parametrize(
    ("namespace", "target"), [("", "/image/compressed"), ("/fleet/a/", "/fleet/a/image/compressed")]
)
def test_the_player_shows_the_bag_to_the_graph_of_that_namespace(namespace: str, target: str) -> None:
    command = words(PLAYED | {"namespace": namespace}, 2.0)
    assert command[:3] == ["ros2", "bag", "play"] and Path(command[3]).is_dir()
    assert command[command.index("--rate") + 1] == "2" and "--clock" in command
    topic = command[command.index("--topics") + 1]
    assert command[command.index("--remap") + 1] == f"{topic}:={target}"


def test_a_topic_that_the_bag_does_not_have_is_refused() -> None:
    with pytest.raises(BagError, match="/nothing"):
        launching.player(PLAYED | {"topic": "/nothing"}, 1.0)


@pytest.mark.parametrize(("respawn", "code", "ends"), [(False, 0, True), (True, 0, True), (True, -9, False)])
def test_a_launch_ends_with_the_ground_unless_that_comes_back(respawn: bool, code: int, ends: bool) -> None:
    event = SimpleNamespace(returncode=code, process_name="ground")
    assert (launching._end(respawn, event, None) is not None) is ends


@pytest.mark.parametrize(("respawn", "code"), [(False, 1), (True, 1), (False, -9)])
def test_a_ground_that_fails_fails_the_launch(respawn: bool, code: int) -> None:
    with pytest.raises(RuntimeError, match=f"ground ended with exit code {code}"):
        launching._end(respawn, SimpleNamespace(returncode=code, process_name="ground"), None)


def test_a_player_that_is_stopped_with_the_launch_has_not_failed() -> None:
    event = SimpleNamespace(returncode=-2, process_name="ros2")
    launching._end_if_failed(event, SimpleNamespace(is_shutdown=True))
    with pytest.raises(RuntimeError, match="ros2 ended"):
        launching._end_if_failed(event, SimpleNamespace(is_shutdown=False))


@pytest.mark.parametrize("file", sorted(LAUNCH.glob("*.launch.py")), ids=lambda file: file.name)
def test_a_switch_that_is_no_switch_ends_every_launch(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = str(LAUNCH.parent / "config" / "constellation.yaml")
    arguments = {"respawn": "perhaps", "bag": "demo", "satellite": "sat1", "config": config}
    service = LaunchService()
    service.include_launch_description(
        IncludeLaunchDescription(PythonLaunchDescriptionSource(str(file)), launch_arguments=arguments.items())
    )
    assert service.run() == 1
    assert "respawn is 'perhaps'; allowed are true and false" in caplog.text


@pytest.mark.parametrize("file", sorted(LAUNCH.glob("*.launch.py")), ids=lambda file: file.name)
def test_every_launch_can_go_on_with_a_run(file: Path) -> None:
    declared = get_launch_description_from_python_launch_file(str(file)).get_launch_arguments()
    (argument,) = (argument for argument in declared if argument.name == "run")
    assert [part.text for part in argument.default_value] == [""]
    assert "one that is there is gone on with" in argument.description


def test_a_satellite_that_is_launched_again_finds_its_store(tmp_path: Path) -> None:
    run, runs = tmp_path / "mission", tmp_path / "runs"
    arguments = {"config": str(LAUNCH.parent / "config" / "constellation.yaml"), "namespace": "", "runs": str(runs)}
    constellation = launching.constellation_of(arguments, on_one_computer=True)

    def store_directories(chosen: str) -> str:
        launching.actions(constellation, arguments | {"run": chosen}, lambda spec: spec.name == "sat1")
        (parameters,) = tmp_path.rglob("sat1.yaml")
        (found,) = re.findall(r'"store_directory": "(.*?)"', parameters.read_text())
        parameters.unlink()
        return found

    assert [Path(store_directories(str(run))) for _ in range(2)] == [run, run]
    assert not runs.exists()
    assert len({store_directories("") for _ in range(2)}) == 2 and len(list(runs.glob("2*"))) == 2


@pytest.mark.parametrize("file", sorted(LAUNCH.glob("*.launch.py")), ids=lambda file: file.name)
def test_settings_that_cannot_fly_end_every_launch(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "abc")
    content = yaml.safe_load((LAUNCH.parent / "config" / "constellation.yaml").read_text())
    config = tmp_path / "constellation.yaml"
    config.write_text(yaml.safe_dump(content | {"emulate": {"compute": False, "links": False}}))
    runs = tmp_path / "runs"
    arguments = {"bag": "demo", "satellite": "sat1", "config": str(config), "runs": str(runs)}
    service = LaunchService()
    service.include_launch_description(
        IncludeLaunchDescription(PythonLaunchDescriptionSource(str(file)), launch_arguments=arguments.items())
    )
    assert service.run() == 1
    assert "ROS_DOMAIN_ID is 'abc', which is not a whole number" in caplog.text
    assert not runs.exists()


def test_launched_processes_share_one_choice_of_transports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("ROS_LOG_DIR", raising=False)
    monkeypatch.setattr("satllm_ros.runtime.transports.free_bytes", lambda _: 0)
    arguments = {"config": str(LAUNCH.parent / "config" / "constellation.yaml"), "namespace": "", "run": ""}
    constellation = launching.constellation_of(arguments, on_one_computer=True)
    made = launching.actions(constellation, arguments | {"runs": str(tmp_path)}, lambda spec: True)
    nodes = [action for action in made if isinstance(action, Node)]
    environments = [{k[0].text: v[0].text for k, v in node.additional_env} for node in nodes]
    assert len(nodes) > 5 and all(environment == environments[0] for environment in environments)
    assert Path(environments[0][PROFILE_VARIABLE]).name == "fastdds_udp.xml"
    assert Path(environments[0]["ROS_LOG_DIR"]).is_relative_to(tmp_path)


def test_launched_processes_on_real_links_have_a_profile_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    content = yaml.safe_load((LAUNCH.parent / "config" / "constellation.yaml").read_text())
    config = tmp_path / "constellation.yaml"
    config.write_text(yaml.safe_dump(content | {"emulate": {"compute": False, "links": False}}))
    arguments = {"config": str(config), "namespace": "fleet", "run": "", "runs": str(tmp_path)}
    constellation = launching.constellation_of(arguments)
    made = launching.actions(constellation, arguments, lambda spec: spec.name in ("sat1", "sensing", "planner"))
    environments = [{k[0].text: v[0].text for k, v in node.additional_env} for node in made if isinstance(node, Node)]
    assert {Path(environment[PROFILE_VARIABLE]).name for environment in environments} == {
        "sat1.xml",
        "sensing.xml",
        "planner.xml",
    }
    assert all(environment["RMW_FASTRTPS_USE_QOS_FROM_XML"] == "1" for environment in environments)
    assert all(Path(environment[PROFILE_VARIABLE]).is_file() for environment in environments)
