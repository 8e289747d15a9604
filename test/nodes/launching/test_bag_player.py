"""A bag that `ros2 bag play` plays in a launch. Skipped without launch, which is part of ROS, not on PyPI."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("launch_ros")

from launch_ros.actions import Node

from satllm_ros.acquisition.played import READY_FOR_IMAGES
from satllm_ros.data.rosbag.bag import BagError
from satllm_ros.nodes.launching import bag_player

PLAYED = {"bag": "demo", "topic": "", "namespace": "", "play": "true", "rate": ""}
GRAPH = [Node(package="satllm_ros", executable="sensing")]


def words(arguments: dict[str, str], rate: float = 1.0) -> list[str]:
    """Command line of the player."""
    return ["".join(part.text for part in word) for word in bag_player.playing(arguments, rate).cmd]


@pytest.mark.parametrize(
    ("play", "text", "rate"),
    [("false", "", 0.0), ("false", "2", 2.0), ("false", "0", 0.0), ("true", "", 1.0), ("True", "0.5", 0.5)],
)
def test_the_rate_of_a_replay(play: str, text: str, rate: float) -> None:
    assert bag_player.replay_rate({"play": play, "rate": text}) == rate


@pytest.mark.parametrize(
    ("play", "text"), [("false", "fast"), ("false", "-1"), ("false", "nan"), ("true", "0"), ("true", "inf")]
)
def test_a_rate_that_makes_no_sense_is_refused(play: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"rate is '{text}'"):
        bag_player.replay_rate({"play": play, "rate": text})


@pytest.mark.parametrize(
    ("namespace", "target"), [("", "/image/compressed"), ("/fleet/a/", "/fleet/a/image/compressed")]
)
def test_the_player_shows_the_bag_to_the_graph_of_that_namespace(namespace: str, target: str) -> None:
    command = words(PLAYED | {"namespace": namespace}, 2.0)
    # It ends with the launch.
    assert command[:3] == [sys.executable, "-m", "satllm_ros.supervisor.parent"]
    assert command[3:6] == ["ros2", "bag", "play"] and Path(command[6]).is_dir()
    assert command[command.index("--rate") + 1] == "2" and "--clock" in command
    topic = command[command.index("--topics") + 1]
    assert command[command.index("--remap") + 1] == f"{topic}:={target}"


def test_a_topic_that_the_bag_does_not_have_is_refused() -> None:
    with pytest.raises(BagError, match="/nothing"):
        bag_player.player(PLAYED | {"topic": "/nothing"}, 1.0, GRAPH)


def test_a_player_that_is_stopped_with_the_launch_has_not_failed() -> None:
    event = SimpleNamespace(returncode=-2, process_name="ros2")
    bag_player.end_if_failed(event, SimpleNamespace(is_shutdown=True))
    with pytest.raises(RuntimeError, match="ros2 ended"):
        bag_player.end_if_failed(event, SimpleNamespace(is_shutdown=False))


def test_the_player_starts_once_when_sensing_is_ready_and_not_before() -> None:
    played = bag_player.playing(PLAYED, 1.0)
    ready = bag_player._WhenReady(played)
    said = f"[sensing]: {READY_FOR_IMAGES} of /image".encode()
    assert ready.on_output(SimpleNamespace(text=b"[sensing]: waits for a plan\n")) is None
    # In two pieces, as a pipe may have it.
    assert ready.on_output(SimpleNamespace(text=said[:17])) is None
    assert ready.on_output(SimpleNamespace(text=said[17:])) is played
    assert ready.on_output(SimpleNamespace(text=said)) is None


def test_a_played_bag_is_held_to_what_it_has() -> None:
    source = bag_player.played_source(PLAYED)
    assert source.kind == "topic" and source.expected_images == 500 and not source.is_endless
