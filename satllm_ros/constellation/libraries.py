"""What must be installed where satellites of a constellation run."""

from __future__ import annotations

from collections.abc import Collection

from satllm_ros.assets.paths import checkpoint_path
from satllm_ros.constellation.file import Constellation
from satllm_ros.model.engines.bundle import MANIFEST, bundle_of
from satllm_ros.model.engines.choice import ONNX, TORCH


def needs_torch(constellation: Constellation, here: Collection[str]) -> bool:
    """Whether one of the satellites here runs blocks with torch, as far as can be said before it starts.

    Whether a bundle fits is seen when it is read: until then, one that is there counts.
    """
    kinds = {each.engine.kind for each in constellation.satellites if each.name in here and not each.external}
    if kinds <= {ONNX}:
        return False
    if TORCH in kinds:
        return True
    folder = bundle_of(checkpoint_path(constellation.checkpoint), constellation.bundle)
    return not (folder / MANIFEST).is_file()
