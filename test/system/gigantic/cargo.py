"""What flies: a bfloat16 model with random weights, codec artefacts that serve `raw`, a few pictures of its size."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from gigantic.limits import Limit, Limits
from PIL import Image

from satllm_ros.assets.paths import DEMO_BAG, DEMO_CHECKPOINT, asset
from satllm_ros.compression.tables.artefacts import Artefacts, save_artefacts
from satllm_ros.compression.tables.measurement import Measurement
from satllm_ros.data.rosbag.bag import image_topic
from satllm_ros.model.checkpoints.random_weights import save_random_checkpoint
from satllm_ros.model.spec import ModelSpec, read_spec
from satllm_ros.nodes.images.frames import Frame, bag_frames

SEED = 1


@dataclass(frozen=True)
class Cargo:
    checkpoint: Path
    artefacts: Path
    images: Path
    spec: ModelSpec


def save_cargo(folder: Path, architecture: str, arguments: dict[str, Any], images: int) -> Cargo:
    """Model with the shipped one's classes and normalization, and the first images of the shipped bag."""
    shipped = read_spec(asset(DEMO_CHECKPOINT))
    checkpoint = folder / f"{architecture}.safetensors"
    arguments = arguments | {"num_classes": len(shipped.classes)}
    save_random_checkpoint(checkpoint, architecture, arguments, shipped.mean, shipped.std, shipped.classes, seed=SEED)
    spec = read_spec(checkpoint)
    artefacts = folder / f"{architecture}.codec.safetensors"
    # Random weights have no accuracy to lose: raw loses none of whatever there is.
    measured = {"raw": Measurement(accuracy=1.0, ratio=1.0)}
    save_artefacts(artefacts, Artefacts(spec.model_id, spec.prefix_tokens, spec.width, {}, measured))
    return Cargo(checkpoint, artefacts, _save_images(folder / "images", spec, images), spec)


def _save_images(folder: Path, spec: ModelSpec, count: int) -> Path:
    folder.mkdir()
    bag = asset(DEMO_BAG)
    frames = (frame for frame in bag_frames(bag, image_topic(bag)) if isinstance(frame, Frame))
    for number, frame in enumerate(islice(frames, count), start=1):
        # Enlarged here: the product cuts frames that are larger than a tile and refuses smaller ones.
        large = Image.fromarray(frame.rgb).resize((spec.image_width, spec.image_height), Image.Resampling.BICUBIC)
        large.save(folder / f"{number:03d}.png")
    return folder


@dataclass(frozen=True)
class Ended:
    """How a process of the unsplit model has ended."""

    code: int
    errors: str
    limit: Limit | None


def run_unsplit(cargo: Cargo, target: Path, limits: Limits | None = None, before: Sequence[str] = ()) -> Ended:
    """Compute the logits of all images by the unsplit model in a process of its own; without `limits`, unlimited."""
    command = [*before, sys.executable, "-P", str(Path(__file__).with_name("unsplit.py"))]
    process = subprocess.Popen(
        [*command, str(cargo.checkpoint), str(cargo.images), str(target)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        limit = limits.hold(process.pid, "unsplit") if limits is not None else None
        _, errors = process.communicate("go\n")
    return Ended(process.returncode, errors, limit)


def read_logits(path: Path) -> dict[int, np.ndarray]:
    """Logits (E,) by the frame's number."""
    with np.load(path) as file:
        return {int(name): file[name] for name in file.files}
