"""The whole constellation on this computer: `ros2 launch satllm_ros constellation.launch.py`."""

from launch import LaunchDescription
from launch.action import Action

from satllm_ros.nodes.launching import Arguments, actions, constellation_of, description


def start(arguments: Arguments) -> list[Action]:
    """Every process; the launch ends when a bag or folder is through."""
    endless = constellation_of(arguments).source.kind == "topic"
    return actions(arguments, lambda spec: True, exit_when_done=not endless)


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the processes."""
    return description(("bag", "images", "image_topic"), start)
