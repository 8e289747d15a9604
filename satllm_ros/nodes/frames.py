"""Images as they come, from messages, bags and folders, and the tiles cut from them.

Whatever happens to one image costs that image: it becomes an `UnreadableFrame` that says why, and reading goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cv_bridge import CvBridge
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from satllm_ros.data.bag import image_topic, read_messages
from satllm_ros.data.manifest import Manifest
from satllm_ros.nodes.conversions import to_bytes
from satllm_ros.nodes.qos import message_class
from satllm_ros.runtime.source_identity import ManifestIdentity
from satllm_ros.runtime.tiles import TileError, cut_tiles, decode_jpeg, encode_tile

_BRIDGE = CvBridge()
UNREADABLE = "unreadable_image"


@dataclass(frozen=True)
class SourceKind:
    """What to read: `kind` is topic, bag or folder; `rate` paces a bag against its recorded times, 0: not at all."""

    kind: str
    path: Path
    image_topic: str = ""
    rate: float = 0.0

    @property
    def is_live(self) -> bool:
        return self.kind == "topic"


@dataclass(frozen=True)
class Origin:
    """Where one image came from.

    Attributes
    ----------
    number
        Frame: its place in the manifest, its position in the bag, or the camera's count; from 1.
    name
        File relative to the folder, `topic#position` of a bag, or topic of a camera.
    stamp_ns
        Its own header stamp [ns since 1970]; None without one.
    digest
        First 16 hexadecimal digits of the SHA-256 of what was read; empty for a camera.
    recorded_ns
        When a bag recorded it [ns since 1970]; None for images that are in no bag.
    """

    number: int
    name: str
    stamp_ns: int | None = None
    digest: str = ""
    recorded_ns: int | None = None


@dataclass(frozen=True)
class Frame:
    """One image: uint8 RGB (H, W, 3); `jpeg` is its own file where that may be sent as it is."""

    origin: Origin
    rgb: np.ndarray
    jpeg: bytes | None = None

    @property
    def number(self) -> int:
        return self.origin.number


@dataclass(frozen=True)
class UnreadableFrame:
    """An image that cannot be flown, the cause it is counted under, and why in words."""

    origin: Origin
    reason: str
    cause: str = UNREADABLE

    @property
    def number(self) -> int:
        return self.origin.number


def stamp_of(message: Any) -> int | None:
    """Header stamp of a message [ns since 1970]; None without one, or before 1970: of a clock that was never set."""
    stamp = message.header.stamp
    stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
    return stamp_ns if stamp_ns > 0 else None


def frame_from(message: Any, origin: Origin) -> Frame | UnreadableFrame:
    """Frame of a sensor_msgs Image or CompressedImage."""
    try:
        if isinstance(message, CompressedImage):
            data = bytes(message.data)
            rgb = decode_jpeg(np.frombuffer(data, dtype=np.uint8))
            return Frame(origin, rgb, data if data.startswith(b"\xff\xd8") else None)
        return Frame(origin, _BRIDGE.imgmsg_to_cv2(_plain(message), desired_encoding="rgb8"))
    # cv_bridge and OpenCV raise whatever they stumble on; each means that this image cannot be read.
    except Exception as error:  # noqa: BLE001
        return UnreadableFrame(origin, str(error) or repr(error))


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


def bag_frames(
    path: Path, topic: str | None, wanted: Collection[int] | None = None
) -> Iterator[Frame | UnreadableFrame]:
    """Frames of a bag's image topic, in recorded order; a frame is known by its position, from 1."""
    name = image_topic(path, topic or None)
    last = max(wanted, default=0) if wanted is not None else None
    for position, recorded in enumerate(read_messages(path, [name]), start=1):
        if last is not None and position > last:
            return
        if wanted is not None and position not in wanted:
            continue
        origin = Origin(position, f"{name}#{position}", None, digest_of(recorded.cdr), recorded.stamp_ns)
        # A damaged record ends in rmw's own error, a RuntimeError.
        try:
            message = deserialize_message(recorded.cdr, message_class(recorded.type_name))
        except RuntimeError as error:
            yield UnreadableFrame(origin, f"the record is no {recorded.type_name}: {error}")
            continue
        yield frame_from(message, replace(origin, stamp_ns=stamp_of(message)))


def folder_frames(
    path: Path, manifest: Manifest, wanted: Collection[int] | None = None
) -> Iterator[Frame | UnreadableFrame]:
    """Frames of a folder's image files, those of the manifest in its order, whatever else came since."""
    identity = ManifestIdentity(manifest.source_id, manifest.names)
    for name in manifest.names:
        number = identity.frame_of(name) or 0
        if wanted is not None and number not in wanted:
            continue
        try:
            data = (path / name).read_bytes()
        except OSError as error:
            yield UnreadableFrame(Origin(number, name), error.strerror or str(error))
            continue
        origin = Origin(number, name, digest=digest_of(data))
        try:
            rgb = decode_jpeg(np.frombuffer(data, dtype=np.uint8))
            yield Frame(origin, rgb, data if data.startswith(b"\xff\xd8") else None)
        except TileError as error:
            yield UnreadableFrame(origin, str(error))


def source_frames(
    what: SourceKind, manifest: Manifest, wanted: Collection[int] | None = None
) -> Iterator[Frame | UnreadableFrame]:
    """Frames of a bag or folder, all or those wanted; raises `ValueError` if the source cannot be read on."""
    if what.kind == "bag":
        return bag_frames(what.path, what.image_topic, wanted)
    return folder_frames(what.path, manifest, wanted)


def digest_of(data: bytes) -> str:
    """First 16 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


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
