"""Two constellations and one camera in one launch file: ros2 launch examples/fleet.launch.py shown:=FOLDER

Nothing here is of satllm_ros but the included file: this is how a stack of your own embeds it.
"""

import sys
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import PushRosNamespace
from launch_ros.substitutions import FindPackageShare

HERE = Path(__file__).resolve().parent


def constellation(name: str) -> GroupAction:
    """The whole graph below a namespace of its own; a group, so that neither hears of the other's."""
    share = PathJoinSubstitution([FindPackageShare("satllm_ros"), "launch", "constellation.launch.py"])
    arguments = {
        "config": LaunchConfiguration("config"),
        "camera": "true",
        # Absolute: one camera for both.
        "image_topic": "/camera/image",
        "runs": [LaunchConfiguration("runs"), f"/{name}"],
    }
    return GroupAction(
        [
            PushRosNamespace(name),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(share), launch_arguments=arguments.items()),
        ]
    )


def generate_launch_description() -> LaunchDescription:
    """Arguments, a camera, and the two."""
    default = PathJoinSubstitution([FindPackageShare("satllm_ros"), "config", "constellation.yaml"])
    camera = [sys.executable, str(HERE / "camera.py"), LaunchConfiguration("shown"), "/camera/image"]
    return LaunchDescription(
        [
            DeclareLaunchArgument("shown", description="Folder of images that the camera shows in turn"),
            DeclareLaunchArgument("config", default_value=default, description="Constellation file of both"),
            DeclareLaunchArgument("runs", default_value="runs", description="Where runs are kept, a folder each"),
            ExecuteProcess(cmd=camera, output="screen"),
            constellation("east"),
            constellation("west"),
        ]
    )
