"""The parts of a model as ONNX graphs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnxruntime import InferenceSession
from torch import Tensor, nn
from torch.onnx.utils import register_custom_op_symbolic

from satllm_ros.model.engines.bundle import OPSET
from satllm_ros.model.engines.onnx_engine import PROVIDER
from satllm_ros.model.errors import ModelError
from satllm_ros.model.export.positions import AxialAngles, MixedAngles, RelativeIndices, batch_zero
from satllm_ros.model.stage import OpenPart, open_part
from satllm_ros.model.structure import run_head, structure_of

# Between PyTorch and ONNX Runtime, of the greatest result of a part; 1e-6 is usual.
_TOLERANCE = 1e-5
# Two, so that nothing is taken for a constant that is the number of tiles.
_TRACED_TILES = 2


class PartGraph(nn.Module):
    """A function of one tensor, with the modules that hold its weights."""

    def __init__(self, model: nn.Module, function: Callable[[Tensor], Tensor], input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.model = model
        self._function = function
        self._input_shape = input_shape

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x)

    def save(self, path: Path) -> None:
        """Write the graph, from `x` to `y`, for any number of tiles; it must give what PyTorch gives, and is tried.

        Raises
        ------
        ModelError
            If PyTorch's exporter has no ONNX for an operation of it, or makes a wrong graph of it.
        """
        # The fused operation is taken apart by the exporter, into more nodes than timm's own unfused one.
        for module in self.modules():
            if hasattr(module, "fused_attn"):
                vars(module)["fused_attn"] = False
        self.eval()
        try:
            with torch.no_grad(), warnings.catch_warnings():
                # Of shapes that are traced as constants, as they are meant to be, and of the exporter's age.
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    self,
                    (torch.zeros(_TRACED_TILES, *self._input_shape),),
                    path,
                    dynamo=False,
                    opset_version=OPSET,
                    input_names=["x"],
                    output_names=["y"],
                    dynamic_axes={"x": {0: "tiles"}, "y": {0: "tiles"}},
                )
        except torch.onnx.OnnxExporterError as error:
            raise ModelError(f"the exporter has no ONNX for it: {' '.join(str(error).split())}") from error
        self._compare(path)

    @torch.no_grad()
    def _compare(self, path: Path) -> None:
        """Refuse a graph that gives other results than PyTorch, for another number of tiles than it was traced with."""
        x = torch.randn(_TRACED_TILES + 1, *self._input_shape, generator=torch.Generator().manual_seed(0))
        expected = self(x).numpy()
        session = InferenceSession(str(path), providers=[PROVIDER])
        (found,) = session.run(None, {"x": x.numpy()})
        difference = float(np.abs(found - expected).max() / np.abs(expected).max())
        if found.shape != expected.shape or not difference <= _TOLERANCE:
            raise ModelError(
                f"the exporter made a wrong graph of it: its results differ from PyTorch's by {difference:.1e} of the "
                f"greatest; allowed is {_TOLERANCE:g}"
            )


def embed_graph(checkpoint: Path) -> PartGraph:
    """From normalized images (N, 3, H, W) to the input of block 1 (N, S, D)."""
    part = _open(checkpoint, 0)
    structure = structure_of(part.model)
    images = (3, part.geometry.image_height, part.geometry.image_width)
    return PartGraph(part.model, lambda x: structure.embed(part.model, x), images)


def block_graph(checkpoint: Path, block: int) -> PartGraph:
    """One block, counted from 1: (N, S, D) -> (N, S, D)."""
    part = _open(checkpoint, block - 1)
    model, structure = part.model, structure_of(part.model)
    indices = RelativeIndices(model)
    rotary = _rotary(part, block)

    def context(zero: Tensor) -> Tensor | None:
        indices.trace_in(zero)
        return structure.context(model, part.grid) if rotary is None else rotary.trace(zero)

    def run(x: Tensor) -> Tensor:
        given = context(batch_zero(x))
        output: Tensor = model.blocks[0](x) if given is None else model.blocks[0](x, **{structure.keyword: given})
        return output

    return PartGraph(model, run, (part.geometry.tokens, part.geometry.width))


def _rotary(part: OpenPart, block: int) -> AxialAngles | MixedAngles | None:
    """What gives the rotary angles of one block, counted from 1; None if it has none."""
    model = part.model
    table = structure_of(model).context(model, part.grid) if getattr(model, "rope", None) is not None else None
    if table is None:
        return None
    if getattr(model, "rope_mixed", False):
        return MixedAngles(model.rope, table[block - 1].clone(), block)
    return AxialAngles(table, part.grid)


def head_graph(checkpoint: Path, blocks: int) -> PartGraph:
    """From the output of the last block (N, S, D) to logits (N, E)."""
    part = _open(checkpoint, blocks - 1)
    return PartGraph(part.model, lambda x: run_head(part.model, x), (part.geometry.tokens, part.geometry.width))


def _open(checkpoint: Path, block: int) -> OpenPart:
    return open_part(checkpoint, block, block + 1, dtype=torch.float32)


def _rms_norm(g: Any, x: Any, shape: Any, weight: Any, epsilon: Any) -> Any:
    """x / sqrt(mean(x^2) + epsilon), times the weight: what PyTorch's exporter lacks."""
    from torch.onnx import symbolic_helper

    dimensions = symbolic_helper._get_const(shape, "is", "normalized_shape")
    eps = symbolic_helper._get_const(epsilon, "f", "eps")
    axes = [-1 - axis for axis in range(len(dimensions))]
    mean = g.op("ReduceMean", g.op("Mul", x, x), axes_i=axes, keepdims_i=1)
    eps = torch.finfo(torch.float32).eps if eps is None else eps
    root = g.op("Sqrt", g.op("Add", mean, g.op("Constant", value_t=torch.tensor(eps))))
    normalized = g.op("Div", x, root)
    return normalized if symbolic_helper._is_none(weight) else g.op("Mul", normalized, weight)


register_custom_op_symbolic("aten::rms_norm", _rms_norm, OPSET)
