"""Camera frames from messages, bags and folders, and the tiles cut from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cv_bridge import CvBridge
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from satllm_ros.data.bag import count_messages, image_topic, read_messages
from satllm_ros.data.folder import read_folder
from satllm_ros.nodes.conversions import to_bytes
from satllm_ros.nodes.qos import message_class
from satllm_ros.runtime.tiles import TileError, cut_tiles, decode_jpeg, encode_tile

_BRIDGE = CvBridge()


@dataclass(frozen=True)
class Frame:
    """One camera image: uint8 RGB (H, W, 3); `jpeg` is its own file where it came as one.

    `recorded_ns` is when a bag recorded it [ns since 1970]; None for images that are in no bag.
    """

    number: int
    rgb: np.ndarray
    jpeg: bytes | None
    recorded_ns: int | None = None


@dataclass(frozen=True)
class UnreadableFrame:
    """A frame that could not be decoded, and why."""

    number: int
    reason: str
    recorded_ns: int | None = None


def stamp_ns(message: Any) -> int:
    """Header stamp of a message [ns]; 0 without one, or with one before 1970: a clock that was never set."""
    stamp = message.header.stamp
    return max(0, stamp.sec * 1_000_000_000 + stamp.nanosec)


def frame_from(message: Any, place: int) -> Frame | UnreadableFrame:
    """Frame of a sensor_msgs Image or CompressedImage; its number is the header stamp [ns], or its place without."""
    number = stamp_ns(message) or place
    try:
        if isinstance(message, CompressedImage):
            data = bytes(message.data)
            rgb = decode_jpeg(np.frombuffer(data, dtype=np.uint8))
            return Frame(number, rgb, data if data.startswith(b"\xff\xd8") else None)
        return Frame(number, _BRIDGE.imgmsg_to_cv2(_plain(message), desired_encoding="rgb8"), None)
    # cv_bridge and OpenCV raise whatever they stumble on; each means that this image cannot be read.
    except Exception as error:  # noqa: BLE001
        return UnreadableFrame(number, str(error) or repr(error))


def _plain(message: Image) -> Image:
    """The same image without what cv_bridge from PyPI gets wrong: padded rows, and a byte order of single bytes."""
    dtype, channels = _BRIDGE.encoding_to_dtype_with_channels(message.encoding)
    value_bytes = np.dtype(dtype).itemsize
    row_bytes = message.width * channels * value_bytes
    big_endian = message.is_bigendian and value_bytes > 1
    if message.step <= row_bytes and big_endian == message.is_bigendian:
        return message
    data = np.frombuffer(message.data, dtype=np.uint8)
    if message.step > row_bytes:
        data = np.ascontiguousarray(data.reshape(message.height, message.step)[:, :row_bytes])
    return Image(
        height=message.height,
        width=message.width,
        encoding=message.encoding,
        is_bigendian=int(big_endian),
        step=row_bytes,
        data=to_bytes(data),
    )


def bag_frames(path: Path, topic: str | None) -> Iterator[Frame | UnreadableFrame]:
    """Frames of a bag's image topic, in recorded order."""
    name = image_topic(path, topic or None)
    for place, recorded in enumerate(read_messages(path, [name]), start=1):
        # A damaged record ends in rmw's own error, a RuntimeError.
        try:
            message = deserialize_message(recorded.cdr, message_class(recorded.type_name))
        except RuntimeError as error:
            yield UnreadableFrame(place, f"the record is no {recorded.type_name}: {error}", recorded.stamp_ns)
        else:
            yield replace(frame_from(message, place), recorded_ns=recorded.stamp_ns)


def count_bag_frames(path: Path, topic: str | None) -> int:
    """Number of frames of a bag's image topic."""
    return count_messages(path, image_topic(path, topic or None))


def folder_frames(path: Path) -> Iterator[Frame | UnreadableFrame]:
    """Frames of a folder's image files, in order of name; a file's number is its place, from 1."""
    for place, file in enumerate(read_folder(path), start=1):
        data = file.read_bytes()
        try:
            yield Frame(
                place, decode_jpeg(np.frombuffer(data, dtype=np.uint8)), data if data.startswith(b"\xff\xd8") else None
            )
        except TileError as error:
            yield UnreadableFrame(place, f"{file.name}: {error}")


def source_frames(kind: str, path: Path, topic: str | None) -> Iterator[Frame | UnreadableFrame]:
    """Frames of a bag or folder."""
    return bag_frames(path, topic) if kind == "bag" else folder_frames(path)


def count_source_frames(kind: str, path: Path, topic: str | None) -> int:
    """Number of frames of a bag or folder."""
    return count_bag_frames(path, topic) if kind == "bag" else len(list(read_folder(path)))


def encoded_tiles(frame: Frame, height: int, width: int, *, jpeg: bool) -> list[bytes]:
    """Bytes of each tile of a frame, as they are sent; a JPEG that is one tile already is passed on untouched.

    Raises
    ------
    TileError
        If the frame is smaller than one tile.
    """
    if jpeg and frame.jpeg is not None and frame.rgb.shape[:2] == (height, width):
        return [frame.jpeg]
    return [encode_tile(tile, jpeg=jpeg) for tile in cut_tiles(frame.rgb, height, width)]
