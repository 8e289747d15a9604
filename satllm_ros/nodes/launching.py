"""What the launch files share: a constellation's processes as launch actions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from satllm_ros import preflight
from satllm_ros.graph import Constellation, ProcessSpec, SourceConfig, load_constellation, new_run_directory, processes

ARGUMENTS = {
    "namespace": "Namespace the whole graph lives in",
    "runs": "Where runs are kept",
    "bag": "rosbag2 bag to replay instead of the file's source",
    "images": "Folder of images to read instead of the file's source",
    "camera": "true: listen to the topics image and image/compressed instead of the file's source",
    "image_topic": "Image topic inside the bag, if it has several",
    "satellite": "Name of the satellite that this computer is",
}
_DEFAULTS = {"runs": "runs"}
_REQUIRED = ("satellite",)
Arguments = dict[str, str]


def description(arguments: tuple[str, ...], start: Callable[[Arguments], list[Action]]) -> LaunchDescription:
    """A launch description with `config`, `namespace`, `runs` and further arguments; `start` makes its actions."""
    names = ("namespace", "runs", *arguments)
    declared: list[Action] = [
        DeclareLaunchArgument(
            "config",
            default_value=PathJoinSubstitution([FindPackageShare("satllm_ros"), "config", "constellation.yaml"]),
            description="Constellation file, the same on every computer",
        )
    ]
    for name in names:
        default = None if name in _REQUIRED else _DEFAULTS.get(name, "")
        declared.append(DeclareLaunchArgument(name, default_value=default, description=ARGUMENTS[name]))

    def perform(context: LaunchContext) -> list[Action]:
        return start({name: LaunchConfiguration(name).perform(context) for name in ("config", *names)})

    return LaunchDescription([*declared, OpaqueFunction(function=perform)])


def constellation_of(arguments: Arguments, *, on_one_computer: bool = False) -> Constellation:
    """The checked constellation of a launch, with the source that the arguments give.

    Raises
    ------
    OSError, ValueError
        With a sentence that names what cannot fly.
    """
    source = None
    if arguments.get("bag"):
        bag = arguments["bag"]
        source = SourceConfig("bag", bag if bag == "demo" else str(Path(bag).resolve()), arguments["image_topic"])
    elif arguments.get("images"):
        source = SourceConfig("folder", str(Path(arguments["images"]).resolve()))
    elif arguments.get("camera") == "true":
        source = SourceConfig("topic")
    constellation = load_constellation(Path(arguments["config"]), source=source)
    preflight.check(constellation, source_is_here="bag" in arguments)
    if constellation.emulate_links and not on_one_computer:
        raise ValueError(
            "emulate.links is true, but satellites on computers of their own have real links: make it false"
        )
    return constellation


def actions(constellation: Constellation, arguments: Arguments, wanted: Callable[[ProcessSpec], bool]) -> list[Action]:
    """Launch actions of the wanted processes of a constellation; the launch ends with a required one."""
    endless = constellation.source.kind == "topic"
    run_directory = new_run_directory(Path(arguments["runs"])).resolve()
    made: list[Action] = []
    for spec in processes(constellation, run_directory, exit_when_done=not endless):
        if not wanted(spec):
            continue
        # Without `name`, which would rename every node of a process that holds several.
        node = Node(
            package="satllm_ros",
            executable=spec.executable,
            namespace="/".join(part for part in (arguments["namespace"].strip("/"), spec.namespace) if part),
            parameters=[str(spec.write_parameters(run_directory, arguments["namespace"]))],
            output="screen",
            # Time to finish the batch under way and close what torch holds.
            sigterm_timeout="15",
        )
        made.append(node)
        if spec.required:
            made.append(RegisterEventHandler(OnProcessExit(target_action=node, on_exit=_end)))
    return made


def _end(event: ProcessExited, _: LaunchContext) -> EmitEvent:
    # An exception is the only way to make `ros2 launch` end with another code than 0.
    if event.returncode:
        raise RuntimeError(f"{event.process_name} ended with exit code {event.returncode}: see its output")
    return EmitEvent(event=Shutdown(reason=f"{event.process_name} has ended"))
