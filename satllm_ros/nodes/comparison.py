"""What flown predictions are compared with: true classes of a bag, and the unsplit model on the same images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from rclpy.serialization import deserialize_message

from satllm_ros import msg as m
from satllm_ros.data.bag import label_topic, read_messages
from satllm_ros.model.reference import UnsplitModel
from satllm_ros.model.spec import ModelSpec
from satllm_ros.nodes.frames import Frame, UnreadableFrame, stamp_of
from satllm_ros.runtime.tiles import TileError, cut_tiles

Item = TypeVar("Item")
# Class by (frame, tile index).
Labels = dict[tuple[int, int], int]

BATCH_TILES = 64


def bag_truth(path: Path, classes: Sequence[str]) -> Labels:
    """True class of (frame, tile 0) from a bag's label topic; empty if it has none.

    Raises
    ------
    ValueError
        If a label is of a class that is not the model's at that place; the message names both.
    """
    topic = label_topic(path)
    if topic is None:
        return {}
    truth = {}
    for recorded in read_messages(path, [topic]):
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
            truth[(stamp_of(label), 0)] = label.label
    return truth


def unsplit_labels(
    checkpoint: Path, spec: ModelSpec, frames: Iterable[Frame | UnreadableFrame], is_stopping: Callable[[], bool]
) -> Labels:
    """Class of every (frame, tile) by the unsplit model; empty if the process is asked to stop meanwhile."""
    classify = UnsplitModel(checkpoint, spec)
    labels: Labels = {}
    for tiles in _batched(_tiles(frames, spec), BATCH_TILES):
        if is_stopping():
            return {}
        best = classify(np.stack([image for _, image in tiles]))
        labels |= zip((key for key, _ in tiles), best, strict=True)
    return labels


def _batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter; itertools has it from Python 3.12 on."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _tiles(frames: Iterable[Frame | UnreadableFrame], spec: ModelSpec) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    for frame in frames:
        if isinstance(frame, UnreadableFrame):
            continue
        try:
            tiles = cut_tiles(frame.rgb, spec.image_height, spec.image_width)
        except TileError:
            continue
        for index, tile in enumerate(tiles):
            yield (frame.number, index), tile
