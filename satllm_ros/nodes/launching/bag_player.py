"""`ros2 bag play` in a launch: started when the graph is ready for images, and held to what the bag has."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from launch import LaunchContext
from launch.action import Action
from launch.actions import ExecuteProcess, RegisterEventHandler
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.events.process import ProcessExited
from launch_ros.actions import Node

from satllm_ros.acquisition.played import READY_FOR_IMAGES
from satllm_ros.assets.paths import bag_path
from satllm_ros.constellation.file import SourceConfig
from satllm_ros.data.rosbag.bag import bag_topics, image_topic
from satllm_ros.data.sources import take_manifest
from satllm_ros.interfaces import IMAGE, IMAGE_COMPRESSED, MAX_BAG_SPEED, SENSING
from satllm_ros.nodes.launching.description import Arguments, is_on, refuse_failure, resolved_bag, root_namespace
from satllm_ros.supervisor.parent import PARENT_VARIABLE

CLOCK_HZ = "100"
# The player has its publishers for so long before it plays: what is published to nobody is lost.
DISCOVERY_S = "3.0"


def replay_rate(arguments: Arguments) -> float:
    """Speed of a replay against the recorded times; 0: as fast as the chain takes it.

    Raises
    ------
    ValueError
        If it is no such number, or 0 with a player, which has no such speed.
    """
    is_played = is_on(arguments, "play")
    text = arguments["rate"] or ("1" if is_played else "0")
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0.0 <= rate <= MAX_BAG_SPEED or (is_played and rate == 0.0):
        raise ValueError(
            f"rate is {text!r}; a number {'above 0 and' if is_played else 'from 0'} up to {MAX_BAG_SPEED:g} is needed"
        )
    return rate


def played_source(arguments: Arguments) -> SourceConfig:
    """The topic that a bag is played on, as a source: it is over when as many images have come as the bag has.

    Raises
    ------
    OSError, ValueError
        If the bag cannot be read, or has no such topic.
    """
    path, topic = _bag_and_topic(arguments)
    return SourceConfig("topic", expected_images=take_manifest("bag", path, topic).frames)


def player(arguments: Arguments, rate: float, graph: Sequence[Action]) -> list[Action]:
    """What plays a bag's images to the graph once sensing, one of the graph's actions, says that they will fly.

    The launch ends if the player fails, and goes on when the bag is through: images may still be under way.

    Raises
    ------
    OSError, ValueError
        If the bag cannot be read, or has no such topic.
    """
    played = playing(arguments, rate)
    sensing = next(action for action in graph if isinstance(action, Node) and action.node_executable == SENSING)
    ready = _WhenReady(played)
    return [
        RegisterEventHandler(OnProcessIO(target_action=sensing, on_stdout=ready.on_output, on_stderr=ready.on_output)),
        RegisterEventHandler(OnProcessExit(target_action=played, on_exit=end_if_failed)),
    ]


def playing(arguments: Arguments, rate: float) -> ExecuteProcess:
    """`ros2 bag play` of a bag's images, onto the camera's topic of the graph and with /clock.

    Parameters
    ----------
    rate
        Speed against the recorded times.

    Raises
    ------
    OSError, ValueError
        If the bag cannot be read, or has no such topic.
    """
    path, topic = _bag_and_topic(arguments)
    is_compressed = bag_topics(path)[topic] == IMAGE_COMPRESSED.type
    name = (IMAGE_COMPRESSED if is_compressed else IMAGE).of()
    target = "/" + root_namespace(arguments["namespace"], name)
    command = ["ros2", "bag", "play", str(path), "--clock", CLOCK_HZ, "--rate", f"{rate:g}", "--delay", DISCOVERY_S]
    command += ["--disable-keyboard-controls", "--topics", topic, "--remap", f"{topic}:={target}"]
    # By itself it would play on when the launch is killed.
    command = [sys.executable, "-m", "satllm_ros.supervisor.parent", *command]
    return ExecuteProcess(cmd=command, output="screen", additional_env={PARENT_VARIABLE: str(os.getpid())})


def _bag_and_topic(arguments: Arguments) -> tuple[Path, str]:
    path = bag_path(resolved_bag(arguments["bag"]))
    return path, image_topic(path, arguments["topic"] or None)


class _WhenReady:
    """Starts an action once, when a process says the words."""

    def __init__(self, action: Action) -> None:
        self._action: Action | None = action
        self._tail = b""

    def on_output(self, event: Any) -> Action | None:
        if self._action is None:
            return None
        # The words may come in two pieces.
        self._tail += event.text
        if READY_FOR_IMAGES.encode() not in self._tail:
            self._tail = self._tail[-len(READY_FOR_IMAGES) :]
            return None
        action, self._action, self._tail = self._action, None, b""
        return action


def end_if_failed(event: ProcessExited, context: LaunchContext) -> None:
    """End the launch if the player failed by itself."""
    # Ctrl-C ends it with a code of its own, and is no failure.
    if not context.is_shutdown:
        refuse_failure(event)
