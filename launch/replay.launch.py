"""A recorded bag through the whole constellation: `ros2 launch satllm_ros replay.launch.py bag:=demo`."""

from launch import LaunchDescription
from launch.action import Action

from satllm_ros.constellation.file import SourceConfig
from satllm_ros.nodes.launching.bag_player import played_source, player, replay_rate
from satllm_ros.nodes.launching.description import (
    Arguments,
    actions,
    constellation_of,
    description,
    is_on,
    resolved_bag,
)


def start(arguments: Arguments) -> list[Action]:
    """Every process, reading the bag or listening to its player."""
    rate = replay_rate(arguments)
    if not is_on(arguments, "play"):
        source = SourceConfig("bag", resolved_bag(arguments["bag"]), arguments["topic"], rate)
        return actions(constellation_of(arguments, on_one_computer=True, source=source), arguments, lambda spec: True)
    constellation = constellation_of(arguments, on_one_computer=True, source=played_source(arguments))
    graph = actions(constellation, arguments | {"use_sim_time": "true"}, lambda spec: True)
    return [*graph, *player(arguments, rate, graph)]


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the processes."""
    return description(("topic", "rate", "play", "reference"), start, required=("bag",))
