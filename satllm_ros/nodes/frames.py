"""Camera frames from messages, bags and folders, and the tiles cut from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage

from satllm_ros.data.bag import count_messages, image_topic, read_messages
from satllm_ros.data.folder import read_folder
from satllm_ros.data.images import ImageError, decode_image, jpeg_as_is
from satllm_ros.data.pixels import AS_DECLARED, PixelRules
from satllm_ros.nodes.encodings import decode_message
from satllm_ros.nodes.qos import message_class
from satllm_ros.runtime.tiles import cut_tiles, encode_tile


@dataclass(frozen=True)
class Frame:
    """One camera image: uint8 RGB (H, W, 3); `jpeg` is its own file where satellites read the same pixels from it.

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


def frame_from(message: Any, place: int, rules: PixelRules = AS_DECLARED) -> Frame | UnreadableFrame:
    """Frame of a sensor_msgs Image or CompressedImage; its number is the header stamp [ns], or its place without."""
    number = stamp_ns(message) or place
    try:
        rgb = decode_message(message, rules)
    except ImageError as error:
        return UnreadableFrame(number, str(error))
    data = bytes(message.data) if isinstance(message, CompressedImage) else b""
    return Frame(number, rgb, data if jpeg_as_is(data, rules) else None)


def bag_frames(path: Path, topic: str | None, rules: PixelRules = AS_DECLARED) -> Iterator[Frame | UnreadableFrame]:
    """Frames of a bag's image topic, in recorded order."""
    name = image_topic(path, topic or None)
    for place, recorded in enumerate(read_messages(path, [name]), start=1):
        # A damaged record ends in rmw's own error, a RuntimeError.
        try:
            message = deserialize_message(recorded.cdr, message_class(recorded.type_name))
        except RuntimeError as error:
            yield UnreadableFrame(place, f"the record is no {recorded.type_name}: {error}", recorded.stamp_ns)
        else:
            yield replace(frame_from(message, place, rules), recorded_ns=recorded.stamp_ns)


def count_bag_frames(path: Path, topic: str | None) -> int:
    """Number of frames of a bag's image topic."""
    return count_messages(path, image_topic(path, topic or None))


def folder_frames(path: Path, rules: PixelRules = AS_DECLARED) -> Iterator[Frame | UnreadableFrame]:
    """Frames of a folder's image files, in order of name; a file's number is its place, from 1."""
    for place, file in enumerate(read_folder(path), start=1):
        data = file.read_bytes()
        try:
            rgb = decode_image(data, file.name, rules)
        except ImageError as error:
            yield UnreadableFrame(place, str(error))
        else:
            yield Frame(place, rgb, data if jpeg_as_is(data, rules) else None)


def source_frames(
    kind: str, path: Path, topic: str | None, rules: PixelRules = AS_DECLARED
) -> Iterator[Frame | UnreadableFrame]:
    """Frames of a bag or folder."""
    return bag_frames(path, topic, rules) if kind == "bag" else folder_frames(path, rules)


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
