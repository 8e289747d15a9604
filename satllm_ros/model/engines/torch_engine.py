"""Blocks run by PyTorch, from the checkpoint itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from satllm_ros.model.engines.engine import EngineName
from satllm_ros.model.spec import ModelSpec

if TYPE_CHECKING:
    from satllm_ros.model.stage import SubModel


class TorchEngine:
    """timm's own blocks on the CPU, in float32 or bfloat16 as the checkpoint has it."""

    def __init__(self, checkpoint: Path, spec: ModelSpec, *, threads: int) -> None:
        self._checkpoint = checkpoint
        self.name = EngineName("torch", "cpu", spec.precision)
        self.threads = threads
        self.layer_bytes = spec.layer_bytes

    def open(self) -> None:
        import torch

        import satllm_ros.model.stage  # noqa: F401

        torch.set_num_threads(self.threads)

    def load(self, start: int, stop: int) -> TorchBlocks:
        from satllm_ros.model.stage import load_stage

        return TorchBlocks(load_stage(self._checkpoint, start, stop))


class TorchBlocks:
    """A sub-model of PyTorch."""

    def __init__(self, stage: SubModel) -> None:
        self._stage: SubModel | None = stage
        self.memory_bytes = stage.memory_bytes

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        output: NDArray[np.float32] = self._held(torch.from_numpy(x)).numpy()
        return output

    def block_seconds(self, tiles: int, repeats: int, within_s: float) -> float:
        from satllm_ros.model.measure import block_seconds

        return block_seconds(self._held, tiles, repeats, within_s)

    def close(self) -> None:
        self._stage = None

    @property
    def _held(self) -> SubModel:
        assert self._stage is not None
        return self._stage
