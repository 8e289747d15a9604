"""The ground station, with the planner: `ros2 launch satllm_ros ground.launch.py`."""

from launch import LaunchDescription
from launch.action import Action

from satllm_ros.nodes.launching.description import Arguments, actions, constellation_of, description


def start(arguments: Arguments) -> list[Action]:
    """Ground, recorder and planner."""
    return actions(
        constellation_of(arguments, planner_is_here=True), arguments, lambda spec: spec.name in ("ground", "planner")
    )


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the processes."""
    return description(("reference",), start)
