"""One satellite, on its own computer: `ros2 launch satllm_ros satellite.launch.py satellite:=sat2`."""

from launch import LaunchDescription
from launch.action import Action

from satllm_ros.nodes.launching import Arguments, actions, constellation_of, description


def start(arguments: Arguments) -> list[Action]:
    """The process of one satellite of the constellation."""
    known = constellation_of(arguments).names
    if arguments["satellite"] not in known:
        raise ValueError(f"satellite {arguments['satellite']!r} is not in the constellation; it has {', '.join(known)}")
    return actions(arguments, lambda spec: spec.name == arguments["satellite"])


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the process."""
    return description(("satellite",), start)
