"""Checkpoints of models with random weights, of any size: what is to be shown of memory and speed needs no training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from satllm_ros.model.checkpoints.checkpoint import write_checkpoint
from satllm_ros.model.errors import about
from satllm_ros.model.structure import build_meta

# As timm starts matrices, tokens and positions.
_STD = 0.02


def save_random_checkpoint(
    path: Path,
    architecture: str,
    arguments: Mapping[str, Any],
    mean: Sequence[float],
    std: Sequence[float],
    classes: Sequence[str],
    *,
    seed: int,
) -> None:
    """Write a bfloat16 checkpoint of random weights, tensor by tensor: the model is never in memory.

    Matrices, tokens and positions are normal with standard deviation 0.02, biases 0, scales of normalization 1, and
    LayerScale is as the arguments say, 1e-5 unless they say otherwise. The same seed gives the same file.

    Raises
    ------
    ModelError
        If timm has no such model or it cannot be split.
    """
    with about(path):
        blank = build_meta(architecture, arguments).state_dict()
    generator = torch.Generator().manual_seed(seed)

    def draw(name: str) -> Tensor:
        shape = tuple(blank[name].shape)
        part = name.rsplit(".", 1)[-1]
        if part == "gamma":
            return torch.full(shape, float(arguments.get("init_values") or 1e-5))
        if len(shape) > 1:
            return _STD * torch.randn(shape, generator=generator)
        return torch.full(shape, 1.0 if part in ("weight", "running_var") else 0.0)

    write_checkpoint(path, draw, architecture, arguments, mean, std, classes, dtype=torch.bfloat16)
