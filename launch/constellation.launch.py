"""The whole constellation on this computer: `ros2 launch satllm_ros constellation.launch.py`."""

from launch import LaunchDescription
from launch.action import Action

from satllm_ros.nodes.launching.description import Arguments, actions, constellation_of, description


def start(arguments: Arguments) -> list[Action]:
    """Every process; the launch ends when a bag or folder is through."""
    return actions(constellation_of(arguments, on_one_computer=True), arguments, lambda spec: True)


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the processes."""
    return description(("bag", "images", "recursive", "camera", "image_topic", "reference"), start)
