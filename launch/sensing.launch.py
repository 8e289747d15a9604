"""Sensing alone, reading a bag, a folder or the camera of this computer: `ros2 launch satllm_ros sensing.launch.py`."""

from launch import LaunchDescription
from launch.action import Action

from satllm_ros.nodes.launching.description import Arguments, actions, constellation_of, description


def start(arguments: Arguments) -> list[Action]:
    """The sensing process."""
    return actions(constellation_of(arguments), arguments, lambda spec: spec.name == "sensing")


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the process."""
    return description(("bag", "images", "recursive", "camera", "image_topic"), start)
