"""One satellite's share of a model: contiguous blocks, with the embed part or the head at the ends."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from satllm_ros.model.checkpoints.checkpoint import verify, verify_geometry
from satllm_ros.model.checkpoints.header import read_header
from satllm_ros.model.checkpoints.tensors import float_dtype, read_tensors
from satllm_ros.model.errors import ModelError, about
from satllm_ros.model.geometry import Geometry
from satllm_ros.model.normalization import normalize as normalized
from satllm_ros.model.parts import EMBED, HEAD, SHARED, check_blocks, is_needed
from satllm_ros.model.spec import ModelSpec
from satllm_ros.model.structure import (
    build_meta,
    compute_tables,
    is_channel_major,
    measure_geometry,
    run_head,
    structure_of,
)


class SubModel(nn.Module):
    """Blocks (start, stop] of a model, in inference; made by `load_stage`.

    Chained stages compute exactly what the unsplit model computes, bit for bit, for any cuts: what a stage of bfloat16
    gives and takes as float32 is exact in both.

    Attributes
    ----------
    start, stop
        The blocks (start, stop], counted from 1; start == 0 has the embed part, stop == L the head.
    blocks_total
        L.
    memory_bytes
        Bytes of all parameters and buffers held.
    activation_shape
        (S, D).
    dtype
        Type in which the parameters are held and the blocks compute, float32 or bfloat16.
    """

    def __init__(
        self,
        model: Any,
        geometry: Geometry,
        start: int,
        stop: int,
        context: Tensor | None,
        channel_major: bool,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.start = start
        self.stop = stop
        self.dtype = dtype
        self.blocks_total = geometry.blocks
        self._channel_major = channel_major
        structure = structure_of(model)
        self._embed = structure.embed
        self._keyword = structure.keyword
        self.activation_shape = (geometry.tokens, geometry.width)
        images = (3, geometry.image_height, geometry.image_width)
        self._input_shape = images if start == 0 else self.activation_shape
        self._context_by_block = getattr(model, "rope_mixed", False)
        if context is not None and self._context_by_block:
            context = context[start:stop].clone()
        self.context: Tensor | None
        self.register_buffer("context", context, persistent=False)
        self.blocks = model.blocks
        del model.blocks
        self.ends = model
        self.eval()
        self.memory_bytes = _memory_bytes(self)

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        """Run the stage.

        Parameters
        ----------
        x
            float32; normalized images (N, 3, H, W) if start == 0, else activations (N, S, D).

        Returns
        -------
        Tensor
            float32; logits (N, E) if stop == L, else activations (N, S, D).

        Raises
        ------
        ModelError
            If x is of another shape or type.
        """
        if x.shape[1:] != self._input_shape or x.dtype != torch.float32:
            raise ModelError(
                f"stage ({self.start}, {self.stop}] was given {x.dtype} of shape {tuple(x.shape)}, "
                f"expected torch.float32 of shape (N, {', '.join(map(str, self._input_shape))})"
            )
        x = x.to(self.dtype)
        if self.start == 0:
            x = self._embed(self.ends, x)
        elif self._channel_major:
            x = x.transpose(1, 2).contiguous().transpose(1, 2)
        x = self.run_blocks(x)
        return (run_head(self.ends, x) if self.stop == self.blocks_total else x).to(torch.float32)

    @torch.inference_mode()
    def run_blocks(self, x: Tensor) -> Tensor:
        """Run the blocks alone, neither embed part nor head: (N, S, D) -> (N, S, D), of `dtype`."""
        if self.context is None:
            for block in self.blocks:
                x = block(x)
        else:
            for index, block in enumerate(self.blocks):
                context = self.context[index] if self._context_by_block else self.context
                x = block(x, **{self._keyword: context})
        return x


@dataclass(frozen=True)
class OpenPart:
    """The timm model of a checkpoint with the tensors of blocks (start, stop], and what all its blocks share.

    `grid` is the patches in a column and in a row; `channel_major` is as `is_channel_major` says.
    """

    model: Any
    geometry: Geometry
    grid: tuple[int, int]
    channel_major: bool
    dtype: torch.dtype


def open_part(
    checkpoint: Path, start: int, stop: int, *, device: str = "cpu", dtype: torch.dtype | None = None
) -> OpenPart:
    """Read the blocks (start, stop] of a checkpoint, with the embed part if start == 0 and the head if stop == L.

    The whole model is laid out on torch's meta device and compared with the file's header; then the part's
    own tensors are read, and no others.

    Parameters
    ----------
    dtype
        Type of floating-point tensors; None: the checkpoint's own.

    Raises
    ------
    OSError
        If the file cannot be read.
    ModelError
        If it is not the checkpoint of the model it names, or the model has no such blocks.
    """
    checkpoint = Path(checkpoint)
    with about(checkpoint):
        header = read_header(checkpoint)
        model: Any = build_meta(header.architecture, header.arguments)
        verify(header, model)
        geometry = measure_geometry(model)
        verify_geometry(header, geometry)
    check_blocks(start, stop, geometry.blocks)
    target = torch.device(device)
    dtype = dtype or float_dtype(header)
    grid = model.patch_embed.grid_size
    channel_major = is_channel_major(model)
    own = [name for name in header.shapes if is_needed(name, start, stop, geometry.blocks)]
    with about(checkpoint):
        model.load_state_dict(read_tensors(header, own, target), strict=False, assign=True)
    model.requires_grad_(False)
    model.blocks = nn.ModuleList(model.blocks[start:stop])
    if stop < geometry.blocks:
        _drop(model, HEAD)
    if start > 0:
        _drop(model, EMBED)
    if dtype != float_dtype(header):
        model.to(dtype)
    compute_tables(model, target, dtype)
    return OpenPart(model, geometry, grid, channel_major, dtype)


def load_stage(checkpoint: Path, start: int, stop: int, *, device: str = "cpu") -> SubModel:
    """Load the blocks (start, stop] of a checkpoint; raises what `open_part` does."""
    part = open_part(checkpoint, start, stop, device=device)
    context = structure_of(part.model).context(part.model, part.grid)
    if start > 0:
        _drop(part.model, SHARED)
    return SubModel(part.model, part.geometry, start, stop, context, part.channel_major, part.dtype)


def normalize(images: NDArray[np.uint8], spec: ModelSpec) -> Tensor:
    """As `model.normalization.normalize`, as a tensor."""
    return torch.from_numpy(normalized(images, spec))


def _drop(model: nn.Module, names: frozenset[str]) -> None:
    for name in names:
        if name in model._parameters:
            setattr(model, name, None)
        elif name in model._modules:
            setattr(model, name, nn.Identity())


def _memory_bytes(module: nn.Module) -> int:
    storages = {}
    for tensor in (*module.parameters(), *module.buffers()):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def load_blocks(checkpoint: Path, stop: int) -> list[SubModel]:
    """Blocks 1 to `stop`, each a stage of its own."""
    return [load_stage(checkpoint, block - 1, block) for block in range(1, stop + 1)]
