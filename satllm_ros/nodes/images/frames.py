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
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage

from satllm_ros.acquisition.source_identity import ManifestIdentity
from satllm_ros.data.folder import printable
from satllm_ros.data.images.decoding import decode_image, jpeg_as_is
from satllm_ros.data.images.errors import ImageError, PixelsRefusedError
from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules
from satllm_ros.data.manifest import Manifest
from satllm_ros.data.rosbag.bag import BagDamage, image_topic, read_messages
from satllm_ros.data.tiles import cut_tiles, encode_tile
from satllm_ros.nodes.base.qos import message_class
from satllm_ros.nodes.images.encodings import decode_message

# Causes: it is no image; nobody has said how to read its samples; the bag has lost it; it is not what it was.
UNREADABLE, REFUSED, DAMAGED, CHANGED = "unreadable_image", "refused_pixels", "source_damaged", "source_changed"


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
    rgb: NDArray[np.uint8]
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


def frame_from(message: Any, origin: Origin, rules: PixelRules = AS_DECLARED) -> Frame | UnreadableFrame:
    """Frame of a sensor_msgs Image or CompressedImage."""
    try:
        rgb = decode_message(message, rules)
        data = bytes(message.data) if isinstance(message, CompressedImage) else b""
        return Frame(origin, rgb, data if jpeg_as_is(data, rules) else None)
    except Exception as error:  # noqa: BLE001
        return _unreadable(origin, error)


def _unreadable(origin: Origin, error: Exception) -> UnreadableFrame:
    # Decoders say what they refuse by ImageError; whatever else they stumble on means that this image cannot be read.
    reason = str(error) if isinstance(error, ImageError) else repr(error)
    return UnreadableFrame(origin, reason, REFUSED if isinstance(error, PixelsRefusedError) else UNREADABLE)


def bag_frames(
    path: Path, topic: str | None, rules: PixelRules = AS_DECLARED, wanted: Collection[int] | None = None
) -> Iterator[Frame | UnreadableFrame]:
    """Frames of a bag's image topic, in recorded order; a frame is known by its position, from 1.

    Messages that the bag has lost come as one `UnreadableFrame` each, in their turn; not if only some are `wanted`.
    """
    name = image_topic(path, topic or None)
    last = max(wanted, default=0) if wanted is not None else 0
    lost: list[BagDamage] = []
    for recorded in read_messages(path, [name], lost.append):
        if wanted is None:
            yield from _lost(lost, name)
        elif recorded.position > last:
            return
        elif recorded.position not in wanted:
            continue
        origin = Origin(
            recorded.position, f"{name}#{recorded.position}", None, digest_of(recorded.cdr), recorded.stamp_ns
        )
        # A damaged record ends in rmw's own error, one of another type in any.
        try:
            message: Any = deserialize_message(recorded.cdr, message_class(recorded.type_name))
            stamped = replace(origin, stamp_ns=stamp_of(message))
        except Exception as error:  # noqa: BLE001
            yield UnreadableFrame(origin, f"the record is no {recorded.type_name}: {error}")
            continue
        yield frame_from(message, stamped, rules)
    if wanted is None:
        yield from _lost(lost, name)


def _lost(damages: list[BagDamage], topic: str) -> Iterator[UnreadableFrame]:
    """What was lost, frame by frame; the list is emptied."""
    while damages:
        damage = damages.pop(0)
        for position in range(damage.position, damage.position + damage.lost):
            yield UnreadableFrame(Origin(position, f"{topic}#{position}"), damage.sentence, DAMAGED)


def folder_frames(
    path: Path, manifest: Manifest, rules: PixelRules = AS_DECLARED, wanted: Collection[int] | None = None
) -> Iterator[Frame | UnreadableFrame]:
    """Frames of a folder's image files, those of the manifest in its order, whatever else came since."""
    identity = ManifestIdentity(manifest.source_id, manifest.names)
    for file, size in manifest.entries:
        number, name = identity.frame_of(file) or 0, printable(file)
        if wanted is not None and number not in wanted:
            continue
        try:
            data = (path / file).read_bytes()
        except OSError as error:
            yield UnreadableFrame(Origin(number, name), error.strerror or str(error))
            continue
        origin = Origin(number, name, digest=digest_of(data))
        if len(data) != size:
            yield UnreadableFrame(origin, f"it has {len(data)} bytes, and had {size} when the run began", CHANGED)
            continue
        try:
            yield Frame(origin, decode_image(data, name, rules), data if jpeg_as_is(data, rules) else None)
        except Exception as error:  # noqa: BLE001
            yield _unreadable(origin, error)


def source_frames(
    what: SourceKind, manifest: Manifest, rules: PixelRules = AS_DECLARED, wanted: Collection[int] | None = None
) -> Iterator[Frame | UnreadableFrame]:
    """Frames of a bag or folder, all or those wanted; raises `ValueError` if the source cannot be read on."""
    if what.kind == "bag":
        return bag_frames(what.path, what.image_topic, rules, wanted)
    return folder_frames(what.path, manifest, rules, wanted)


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
