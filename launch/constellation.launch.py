"""The whole constellation on this computer: `ros2 launch satllm_ros constellation.launch.py`."""

from pathlib import Path

from launch.action import Action
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription
from satllm_ros import preflight
from satllm_ros.graph import SourceConfig, load_constellation, new_run_directory, processes

ARGUMENTS = [
    DeclareLaunchArgument(
        "config",
        default_value=PathJoinSubstitution([FindPackageShare("satllm_ros"), "config", "constellation.yaml"]),
        description="Constellation file",
    ),
    DeclareLaunchArgument("bag", default_value="", description="rosbag2 bag to replay instead of the file's source"),
    DeclareLaunchArgument(
        "images", default_value="", description="Folder of images to read instead of the file's source"
    ),
    DeclareLaunchArgument("image_topic", default_value="", description="Image topic inside the bag, if it has several"),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace the whole graph lives in"),
    DeclareLaunchArgument("runs", default_value="runs", description="Where runs are kept"),
]


def start(context: LaunchContext) -> list[Action]:
    """Processes of the constellation, from the same description that `satllm up` uses."""

    def argument(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    source = None
    if argument("bag"):
        bag = argument("bag")
        source = SourceConfig("bag", bag if bag == "demo" else str(Path(bag).resolve()), argument("image_topic"))
    elif argument("images"):
        source = SourceConfig("folder", str(Path(argument("images")).resolve()))
    constellation = load_constellation(Path(argument("config")), source=source)
    preflight.check(constellation)
    run_directory = new_run_directory(Path(argument("runs"))).resolve()
    actions: list[Action] = []
    for spec in processes(constellation, run_directory, exit_when_done=constellation.source.kind != "topic"):
        namespace = "/".join(part for part in (argument("namespace").strip("/"), spec.namespace) if part)
        # Without `name`, which would rename every node of a process that holds several.
        node = Node(
            package="satllm_ros",
            executable=spec.executable,
            namespace=namespace,
            parameters=[str(spec.write_parameters(run_directory, argument("namespace")))],
            output="screen",
        )
        actions.append(node)
        if spec.required:
            end = EmitEvent(event=Shutdown(reason=f"{spec.name} has ended"))
            actions.append(RegisterEventHandler(OnProcessExit(target_action=node, on_exit=[end])))
    return actions


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the processes."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
