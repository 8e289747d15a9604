"""The unsplit, uncompressed model: what every flown pipeline is compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from satllm_ros.model.spec import ModelSpec


class UnsplitModel:
    """timm's own model of a checkpoint, whole, in fp32 or bfloat16 as the checkpoint has it."""

    def __init__(self, checkpoint: Path, spec: ModelSpec) -> None:
        # Only here: a process that never compares need not import torch.
        from satllm_ros.model.checkpoints.checkpoint import load_model

        self._model = load_model(checkpoint)
        self._spec = spec

    def __call__(self, images: NDArray[np.uint8]) -> list[int]:
        """Most probable class of each image, uint8 RGB (N, H, W, 3)."""
        import torch

        from satllm_ros.model.stage import normalize

        with torch.inference_mode():
            labels: list[int] = self._model(normalize(images, self._spec)).argmax(dim=1).tolist()
            return labels
