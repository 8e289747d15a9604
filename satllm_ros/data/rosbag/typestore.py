"""The message types a bag of ours may hold, for reading and writing them without ROS."""

from functools import cache
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

SCENE_LABEL = "satllm_ros/msg/SceneLabel"


def message_definition(name: str) -> str:
    """Text of one of this package's .msg files, as shipped.

    The file is where the build put it: `share/satllm_ros/msg` of the prefix this package is installed in
    (colcon or pip), or `msg/` beside the package in a source tree.

    Raises
    ------
    FileNotFoundError
        If neither has it; the message lists where it was looked for.
    """
    package = Path(__file__).resolve().parents[2]
    folders = [
        package.parent / "msg",
        *(prefix / "share" / package.name / "msg" for prefix in package.parents),
    ]
    for folder in folders:
        if (folder / f"{name}.msg").is_file():
            return (folder / f"{name}.msg").read_text(encoding="utf-8")
    raise FileNotFoundError(f"{name}.msg is in none of {', '.join(map(str, folders))}: the installation is incomplete")


@cache
def bag_typestore() -> Typestore:
    """Common ROS 2 message types and this package's SceneLabel."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg(message_definition("SceneLabel"), SCENE_LABEL))
    return store
