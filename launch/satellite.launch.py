"""One satellite, on its own computer: `ros2 launch satllm_ros satellite.launch.py satellite:=sat2`."""

from launch import LaunchDescription
from launch.action import Action

from satllm_ros.nodes.launching.description import Arguments, actions, constellation_of, description


def start(arguments: Arguments) -> list[Action]:
    """The process of one satellite of the constellation."""
    constellation = constellation_of(arguments)
    wanted, known = arguments["satellite"], constellation.names
    if wanted not in known:
        raise ValueError(f"satellite {wanted!r} is not in the constellation; it has {', '.join(known)}")
    return actions(constellation, arguments, lambda spec: spec.name == wanted)


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the process."""
    return description((), start, required=("satellite",))
