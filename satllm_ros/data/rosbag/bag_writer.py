"""Writing a labelled image bag (rosbag2, MCAP) without ROS."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer

from satllm_ros.data.rosbag.bag import BagError
from satllm_ros.data.rosbag.typestore import SCENE_LABEL, bag_typestore

# image_transport's convention: <image topic>/<transport>
IMAGE_TOPIC = "/camera/image/compressed"
LABEL_TOPIC = "/camera/scene_label"
FRAME_ID = "camera_optical_frame"
# 2026-01-01 00:00:00 UTC: nominal, so that the same frames give the same bag.
START_NS = 1_767_225_600_000_000_000
PERIOD_NS = 100_000_000

_IMAGE_TYPE = "sensor_msgs/msg/CompressedImage"
_SIGNATURES = {b"\xff\xd8\xff": "jpeg", b"\x89PNG": "png"}
_INFINITE = QosTime(9_223_372_036, 854_775_807)
_QOS = Qos(
    QosHistory.KEEP_LAST,
    10,
    QosReliability.RELIABLE,
    QosDurability.VOLATILE,
    _INFINITE,
    _INFINITE,
    QosLiveliness.AUTOMATIC,
    _INFINITE,
    False,
)
# Version 9 changed how QoS is written; every rosbag2 since Humble reads version 8.
_BAG_VERSION: Final = 8


@dataclass(frozen=True)
class LabelledFrame:
    """An encoded image (bytes of a JPEG or PNG file), its true class, and its name for errors."""

    image: bytes
    label: int
    class_name: str
    name: str


def write_bag(path: Path | str, frames: Iterable[LabelledFrame]) -> int:
    """Write a bag that `ros2 bag play` replays: images as they are, and their true classes.

    Frame i carries the stamp START_NS + i * PERIOD_NS on `IMAGE_TOPIC` (sensor_msgs/msg/CompressedImage) and
    on `LABEL_TOPIC` (satllm_ros/msg/SceneLabel), the label first, so that it is there when the image comes.

    Parameters
    ----------
    path
        Folder to create.

    Returns
    -------
    int
        Number of frames written.

    Raises
    ------
    BagError
        If the path exists, there are no frames, or a frame is neither JPEG nor PNG. Nothing is left behind.
    """
    folder = Path(path)
    if folder.exists():
        raise BagError(f"{folder} exists already; choose a bag folder that does not")
    try:
        return _write(folder, frames)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(folder: Path, frames: Iterable[LabelledFrame]) -> int:
    store = bag_typestore()
    count = 0
    with Writer(folder, version=_BAG_VERSION, storage_plugin=StoragePlugin.MCAP) as writer:
        labels, images = (
            writer.add_connection(topic, type_name, typestore=store, offered_qos_profiles=[_QOS])
            for topic, type_name in ((LABEL_TOPIC, SCENE_LABEL), (IMAGE_TOPIC, _IMAGE_TYPE))
        )
        for count, frame in enumerate(frames, start=1):
            stamp_ns = START_NS + (count - 1) * PERIOD_NS
            header = _header(stamp_ns)
            label = store.types[SCENE_LABEL](header=header, label=frame.label, class_name=frame.class_name)
            image = store.types[_IMAGE_TYPE](
                header=header, format=_format(frame), data=np.frombuffer(frame.image, dtype=np.uint8)
            )
            writer.write(labels, stamp_ns, store.serialize_cdr(label, SCENE_LABEL))
            writer.write(images, stamp_ns, store.serialize_cdr(image, _IMAGE_TYPE))
        if count == 0:
            raise BagError(f"no frames to write to {folder}; at least one is needed")
    return count


def _header(stamp_ns: int) -> Any:
    types = bag_typestore().types
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    stamp = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return types["std_msgs/msg/Header"](stamp=stamp, frame_id=FRAME_ID)


def _format(frame: LabelledFrame) -> str:
    for signature, name in _SIGNATURES.items():
        if frame.image.startswith(signature):
            return name
    raise BagError(f"image {frame.name} is neither JPEG nor PNG, the formats sensor_msgs/msg/CompressedImage allows")
