"""What the launch files share: a constellation's processes as launch actions."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from satllm_ros.assets.paths import DEMO
from satllm_ros.assets.share import PACKAGE, share_directory
from satllm_ros.checks.check import Surroundings
from satllm_ros.checks.gate import check_computer, check_run_folder, python_of
from satllm_ros.constellation import preflight
from satllm_ros.constellation.file import Constellation, SourceConfig, load_constellation
from satllm_ros.constellation.libraries import needs_torch
from satllm_ros.constellation.processes import ProcessSpec, processes, write_contacts
from satllm_ros.middleware.transports import has_room, transports
from satllm_ros.report.figures.sample import DEFAULT, parse_reference
from satllm_ros.supervisor.log_directory import can_be_written, log_variables, ros_log_directory
from satllm_ros.supervisor.parent import PARENT_VARIABLE
from satllm_ros.supervisor.process_profile import profile_environment, unlimited
from satllm_ros.supervisor.run_directory import finished_run, open_run_directory

ARGUMENTS = {
    "namespace": "Namespace the whole graph lives in",
    "run": "Folder of the run; one that is there is gone on with; empty: a new one below `runs`",
    "runs": "Where runs are kept",
    "bag": "rosbag2 bag to replay instead of the file's source",
    "images": "Folder of images to read instead of the file's source",
    "recursive": "true: read the folders in the folder of images too",
    "camera": "true: listen to a camera instead of the file's source: topic image or image/compressed",
    "image_topic": "Image topic inside the bag, if it has several, or the camera's topic, raw or compressed",
    "reference": "On how many tiles the unsplit model is run for comparison: a number, all or none",
    "satellite": "Name of the satellite that this computer is",
    "respawn": "true: start a process again that dies",
    "log_level": "Least severity that is logged: debug (what becomes of each batch), info, warn, error or fatal",
    "use_sim_time": "true: take the time from the topic /clock",
    "topic": "Image topic inside the bag, if it has several",
    "rate": "Speed against the recorded times; empty: as recorded with play, else as fast as the chain takes it",
    "play": "true: let `ros2 bag play` publish the bag and /clock; false: sensing reads it, which loses no image",
}
_COMMON = ("namespace", "run", "runs", "respawn", "use_sim_time", "log_level")
_DEFAULTS = {
    "runs": "runs",
    "reference": str(DEFAULT),
    "respawn": "false",
    "use_sim_time": "false",
    "play": "false",
    "log_level": "info",
}
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
_SWITCHES = ("recursive", "camera", "respawn", "use_sim_time", "play")
# A process that dies at once shall not keep the computer busy with starting it.
RESPAWN_DELAY_S = 2.0
# Where launch_ros keeps what PushRosNamespace has pushed.
_PUSHED = "ros_namespace"
Arguments = dict[str, str]


def description(
    arguments: tuple[str, ...], start: Callable[[Arguments], list[Action]], *, required: tuple[str, ...] = ()
) -> LaunchDescription:
    """A launch description with the arguments that all have and further ones; `start` makes its actions."""
    names = (*_COMMON, *arguments, *required)
    declared: list[Action] = [
        DeclareLaunchArgument(
            "config",
            default_value=PathJoinSubstitution([FindPackageShare("satllm_ros"), "config", "constellation.yaml"]),
            description="Constellation file, the same on every computer",
        )
    ]
    for name in names:
        default = None if name in required else _DEFAULTS.get(name, "")
        declared.append(DeclareLaunchArgument(name, default_value=default, description=ARGUMENTS[name]))

    def perform(context: LaunchContext) -> list[Action]:
        given = {name: LaunchConfiguration(name).perform(context) for name in ("config", *names)}
        for name in _SWITCHES:
            if given.get(name, "").lower() not in ("", "true", "false"):
                raise ValueError(f"{name} is {given[name]!r}; allowed are true and false")
        if given["log_level"].lower() not in LOG_LEVELS:
            raise ValueError(f"log_level is {given['log_level']!r}; allowed are {', '.join(LOG_LEVELS)}")
        given["namespace"] = root_namespace(context.launch_configurations.get(_PUSHED, ""), given["namespace"])
        return start(given)

    return LaunchDescription([*declared, OpaqueFunction(function=perform)])


def root_namespace(pushed: str, namespace: str) -> str:
    """Namespace the whole graph lives in, without slashes around it: the argument's below what was pushed around it.

    Launch prefixes the namespaces of nodes with what `PushRosNamespace` pushes, but not the names in our parameter
    files; so both are made from this.
    """
    return "/".join(part for part in f"{pushed}/{namespace}".split("/") if part)


def is_on(arguments: Arguments, name: str) -> bool:
    """Whether a launch argument is true."""
    return arguments.get(name, "").lower() == "true"


def constellation_of(
    arguments: Arguments,
    *,
    on_one_computer: bool = False,
    planner_is_here: bool = False,
    source: SourceConfig | None = None,
) -> Constellation:
    """The checked constellation of a launch, with the source given here or by the arguments.

    Raises
    ------
    OSError, ValueError
        With a sentence that names what cannot fly.
    """
    given = [name for name in ("bag", "images") if arguments.get(name)]
    given += ["camera"] if is_on(arguments, "camera") else []
    if len(given) > 1:
        raise ValueError(
            f"{' and '.join(given)} are given, which are sources each: give one; arguments of an including launch file"
            " are shared with what it includes"
        )
    if source is None and arguments.get("bag"):
        source = SourceConfig("bag", resolved_bag(arguments["bag"]), arguments["image_topic"])
    elif source is None and arguments.get("images"):
        source = SourceConfig(
            "folder", str(Path(arguments["images"]).resolve()), recursive=is_on(arguments, "recursive")
        )
    elif source is None and is_on(arguments, "camera"):
        source = SourceConfig("topic", image_topic=arguments["image_topic"])
    elif source is None and arguments.get("image_topic"):
        raise ValueError(
            f"image_topic is {arguments['image_topic']!r}, which chooses a topic of a bag or a camera: give bag or"
            " camera as well"
        )
    constellation = load_constellation(Path(arguments["config"]), source=source)
    preflight.check(
        constellation, source_is_here="bag" in arguments, planner_is_here=on_one_computer or planner_is_here
    )
    if constellation.emulate_links and not on_one_computer:
        raise ValueError(
            "emulate.links is true, but satellites on computers of their own have real links: make it false"
        )
    return constellation


def resolved_bag(bag: str) -> str:
    """A bag as nodes take it, wherever they run: absolute, or the shipped one's name."""
    return bag if bag == DEMO else str(Path(bag).resolve())


def actions(constellation: Constellation, arguments: Arguments, wanted: Callable[[ProcessSpec], bool]) -> list[Action]:
    """Launch actions of the wanted processes of a constellation; the launch ends with a required one."""
    respawn = is_on(arguments, "respawn")
    use_sim_time = is_on(arguments, "use_sim_time")
    reference = parse_reference(arguments.get("reference") or str(DEFAULT))

    def wanted_specs(directory: Path) -> list[ProcessSpec]:
        specs = processes(
            constellation,
            directory,
            exit_when_done=not constellation.source.is_endless,
            use_sim_time=use_sim_time,
            reference=reference,
        )
        return [spec for spec in specs if wanted(spec)]

    run, runs = arguments["run"], Path(arguments["runs"])
    environment, notes = _checked(constellation, wanted_specs(Path()))
    notes += check_run_folder(run, runs)
    run_directory, opened = open_run_directory(constellation, run, runs, source_is_here="bag" in arguments)
    wanted_here = wanted_specs(run_directory)
    is_whole = {"sensing", "ground"} <= {spec.name for spec in wanted_here}
    if is_whole and (found := finished_run(run_directory, constellation.source.kind)) is not None:
        sentence, was_complete = found
        if not was_complete:
            # The launch ends with an error, as the run did.
            raise RuntimeError(sentence)
        return [LogInfo(msg=sentence)]
    write_contacts(constellation, run_directory)
    log_directory = ros_log_directory(os.environ)
    if log_directory is None or not can_be_written(log_directory):
        environment |= log_variables(os.environ, run_directory / "logs")
    if sentence := unlimited(wanted_here, os.environ):
        notes.append(sentence)
    made: list[Action] = [LogInfo(msg=note) for note in (*notes, *opened.notes)]
    is_roomy = has_room(len(wanted_here))
    for spec in wanted_here:
        # Without `name`, which would rename every node of a process that holds several.
        node = Node(
            package="satllm_ros",
            executable=spec.executable,
            # Absolute: what was pushed is in it already.
            namespace="/" + root_namespace(arguments["namespace"], spec.namespace),
            parameters=[str(spec.write_parameters(run_directory, arguments["namespace"]))],
            output="screen",
            ros_arguments=["--log-level", arguments.get("log_level") or "info"],
            additional_env=environment
            | profile_environment(spec, run_directory, arguments["namespace"], os.environ, has_room=is_roomy)
            # A launch that is killed leaves no process behind.
            | {PARENT_VARIABLE: str(os.getpid())},
            # Time to finish the batch under way and close what torch holds.
            sigterm_timeout="15",
            respawn=respawn,
            respawn_delay=RESPAWN_DELAY_S,
        )
        made.append(node)
        if spec.required:
            made.append(RegisterEventHandler(OnProcessExit(target_action=node, on_exit=partial(_end, respawn))))
    return made


def _checked(constellation: Constellation, specs: Sequence[ProcessSpec]) -> tuple[dict[str, str], list[str]]:
    """Variables that processes on this computer shall have, and warnings; raises what cannot fly."""
    share = share_directory()
    # `ros2 launch` runs in the distribution's Python, the nodes perhaps in that of a virtual environment.
    own = python_of(share.parents[1] / "lib" / PACKAGE / specs[0].executable)
    around = Surroundings(
        os.environ,
        processes=len(specs),
        runs_model=needs_torch(constellation, {spec.name for spec in specs}),
        python=own or sys.executable,
    )
    warnings = check_computer(around, same_python=own == sys.executable)
    return transports(os.environ, share, processes=len(specs)), warnings


def _end(respawn: bool, event: ProcessExited, _: LaunchContext) -> EmitEvent | None:
    if respawn and event.returncode < 0:
        return None
    refuse_failure(event)
    return EmitEvent(event=Shutdown(reason=f"{event.process_name} has ended"))


def refuse_failure(event: ProcessExited) -> None:
    """End the launch with an error if this process has failed."""
    # An exception is the only way to make `ros2 launch` end with another code than 0.
    if event.returncode:
        raise RuntimeError(f"{event.process_name} ended with exit code {event.returncode}: see its output")
