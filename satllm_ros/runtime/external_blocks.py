"""Blocks that somebody else holds and runs."""

from __future__ import annotations

import numpy as np

from satllm_ros.model.spec import ModelSpec
from satllm_ros.runtime.submodels import OnDone


class ExternalBlocks:
    """Stands in for `SubModels` where another process runs the blocks, one tile and block in `block_s` seconds."""

    ready = True
    memory_bytes = 0
    block_s: float | None = None
    # Their memory is somebody else's to bound.
    budget_bytes = 0

    def __init__(self, spec: ModelSpec, block_s: float) -> None:
        self.spec = spec
        self.layer_bytes = (0,) * spec.blocks
        self.real_block_s = block_s

    def load(self, start: int, stop: int, on_done: OnDone) -> None:
        """Nothing to load; `on_done(None)` is called at once."""
        on_done(None)

    def drop(self, start: int, stop: int) -> None:
        """Nothing to drop."""

    def prepare_images(self, images: np.ndarray) -> np.ndarray:
        """First stage's input, float32 (N, 3, H, W), from uint8 RGB (N, H, W, 3)."""
        mean, std = (np.asarray(values, dtype=np.float32) for values in (self.spec.mean, self.spec.std))
        scaled = (images.astype(np.float32) / np.float32(255.0) - mean) / std
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))

    def close(self) -> None:
        """Nothing to free."""
