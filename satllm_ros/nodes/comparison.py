"""What flown predictions are compared with: true classes of a bag, and the unsplit model on the same images.

A process of its own, since torch and a whole model would take a gigabyte of the ground's: it is told on its standard
input what to compare, and says line by line what it finds (`supervisor.comparing`). It is no node and opens no topic.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message

from satllm_ros import msg as m
from satllm_ros.data.images.pixels import PixelRules
from satllm_ros.data.manifest import Manifest
from satllm_ros.data.rosbag.bag import BagDamage, image_topic, label_topic, read_messages
from satllm_ros.data.sources import take_manifest
from satllm_ros.data.tiles import TileError, cut_tiles
from satllm_ros.model.reference import UnsplitModel
from satllm_ros.model.spec import ModelSpec, read_spec
from satllm_ros.nodes.images.frames import SourceKind, UnreadableFrame, source_frames, stamp_of
from satllm_ros.storage.run_identity import read_run
from satllm_ros.supervisor.comparing import Job
from satllm_ros.supervisor.parent import end_with_parent

Item = TypeVar("Item")
Tell = Callable[..., None]

BATCH_TILES = 64
# Messages between two lines on how far reading is.
TOLD_MESSAGES = 100
# Stamp of an image that cannot be read, which no label has.
_LOST = -1
# Of the CDR encapsulation; seconds and nanoseconds of the header's stamp follow.
_CDR_HEADER_BYTES = 4


def bag_truth(path: Path, topic: str, classes: Sequence[str], tell: Tell = lambda **_: None) -> dict[int, int]:
    """True class of each image of a bag, by its position on the image topic from 1; empty if it has no labels.

    Raises
    ------
    ValueError
        If a label is of a class that is not the model's at that place; the message names both.
    """
    labelled = label_topic(path)
    if labelled is None:
        return {}
    pictured = image_topic(path, topic or None)
    images: list[int | None] = []
    labels: list[tuple[int | None, int]] = []
    # What is damaged is said by who flies the bag.
    damage: list[BagDamage] = []
    for recorded in read_messages(path, [labelled, pictured], damage.append):
        if recorded.topic == pictured:
            # Images that are lost keep their places.
            images += [_LOST] * (recorded.position - 1 - len(images))
            images.append(stamp_in(recorded.cdr))
            if len(images) % TOLD_MESSAGES == 0:
                tell(step="true classes", unit="images", done=len(images), total=0)
            continue
        # A damaged record ends in rmw's own error, a RuntimeError: that class stays unknown.
        with suppress(RuntimeError):
            label = deserialize_message(recorded.cdr, m.SceneLabel)
            known = classes[label.label] if label.label < len(classes) else None
            # A number alone is trusted.
            if known is None or label.class_name not in ("", known):
                raise ValueError(
                    f"the bag labels an image {label.class_name!r}, class {label.label}; the model's "
                    f"classes are {', '.join(classes)}"
                )
            labels.append((stamp_of(label), label.label))
    return paired(images, labels, is_whole=not damage)


def paired(
    images: Sequence[int | None], labels: Iterable[tuple[int | None, int]], *, is_whole: bool = True
) -> dict[int, int]:
    """Class of each image by its position from 1, of images' stamps and of labels with theirs.

    Images and labels of one stamp are paired in their order if there are as many of both, and, where there are several,
    nothing of the bag is lost; else nobody can tell which is whose, and their classes stay unknown.
    """
    frames_at: dict[int | None, list[int]] = defaultdict(list)
    for position, stamp in enumerate(images, start=1):
        frames_at[stamp].append(position)
    classes_at: dict[int | None, list[int]] = defaultdict(list)
    for stamp, label in labels:
        classes_at[stamp].append(label)
    truth: dict[int, int] = {}
    for stamp, classes in classes_at.items():
        if len(frames_at[stamp]) == len(classes) and (is_whole or len(classes) == 1):
            truth.update(zip(frames_at[stamp], classes, strict=True))
    return truth


def stamp_in(cdr: bytes) -> int | None:
    """Stamp of a serialized message that begins with a header [ns since 1970], without reading the rest; None without.

    As `stamp_of` of the message; a bag holds millions of bytes an image.
    """
    if len(cdr) < _CDR_HEADER_BYTES + 8:
        return None
    order: Literal["little", "big"] = "little" if cdr[1] & 1 else "big"
    seconds = int.from_bytes(cdr[4:8], order, signed=True)
    nanoseconds = int.from_bytes(cdr[8:12], order)
    stamp_ns = seconds * 1_000_000_000 + nanoseconds
    return stamp_ns if stamp_ns > 0 else None


def unsplit_labels(
    job: Job, spec: ModelSpec, manifest: Manifest, tell: Tell = lambda **_: None
) -> dict[tuple[int, int], int]:
    """Class of every tile asked for, by (frame, tile), that can be read as it was flown."""
    told = {"step": "unsplit reference", "unit": "tiles", "total": len(job.tiles)}
    # Loading takes seconds of its own.
    tell(**told, done=0)
    classify = UnsplitModel(Path(job.checkpoint), spec)
    labels: dict[tuple[int, int], int] = {}
    for tiles in _batched(_tiles(job, spec, manifest), BATCH_TILES):
        best = classify(np.stack([image for _, image in tiles]))
        labels |= zip((key for key, _ in tiles), best, strict=True)
        tell(**told, done=len(labels))
    return labels


def _batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter; itertools has it from Python 3.12 on."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _tiles(job: Job, spec: ModelSpec, manifest: Manifest) -> Iterator[tuple[tuple[int, int], NDArray[np.uint8]]]:
    wanted: Mapping[int, Collection[int]] = job.tiles_by_frame()
    what = SourceKind(job.kind, Path(job.path), job.image_topic)
    for frame in source_frames(what, manifest, PixelRules.from_json(job.pixels), wanted):
        # A file that was changed since it was flown would be compared with something else.
        flown = job.digests.get(frame.number)
        if isinstance(frame, UnreadableFrame) or (flown and flown != frame.origin.digest):
            continue
        try:
            tiles = cut_tiles(frame.rgb, spec.image_height, spec.image_width)
        except TileError:
            continue
        for index in sorted(wanted[frame.number]):
            if index < len(tiles):
                yield (frame.number, index), tiles[index]


def compare(job: Job, tell: Tell) -> None:
    """Do what a job asks, and tell; a comparison that cannot be made is told in a sentence, and the next is made."""
    path = Path(job.path)
    try:
        spec = read_spec(Path(job.checkpoint))
        run = read_run(Path(job.run_directory))
        manifest = run.facts.source if run is not None else None
        if manifest is None:
            manifest = take_manifest(job.kind, path, job.image_topic, recursive=job.recursive)
        if manifest.source_id != job.source_id:
            raise ValueError(f"{path} is not the source that was flown")
        if job.kind == "bag" and job.wants_truth:
            try:
                truth = bag_truth(path, job.image_topic, spec.classes, tell)
                tell(truth=[[frame, 0, label] for frame, label in truth.items()])
            except ValueError as error:
                tell(failed=f"accuracy is not reported: {error}")
        if job.tiles:
            labels = unsplit_labels(job, spec, manifest, tell)
            tell(reference=[[*key, label] for key, label in labels.items()])
            if len(labels) < len(job.tiles):
                tell(failed=f"{len(job.tiles) - len(labels)} tiles are not as they were flown, and not compared")
    except (ValueError, OSError) as error:
        tell(failed=f"no comparison with the source: {error}")
    tell(end=True)


def main() -> int:
    end_with_parent()
    # Whatever a library prints must not be taken for a line of ours.
    out, sys.stdout = sys.stdout, sys.stderr

    def tell(**line: Any) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    compare(Job.from_json(json.load(sys.stdin)), tell)
    return 0


if __name__ == "__main__":
    sys.exit(main())
