"""Checkpoints: safetensors files of fp16 or bfloat16 weights that say which model they are of."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from satllm_ros.model.checkpoints.header import FLOAT_DTYPES, Header, read_header
from satllm_ros.model.checkpoints.tensors import Layout, float_dtype, read_tensors, write_tensors
from satllm_ros.model.errors import ModelError, about
from satllm_ros.model.geometry import Geometry
from satllm_ros.model.structure import build_meta, compute_tables, measure_geometry

_NAMES_SHOWN = 3


def save_checkpoint(
    path: Path,
    model: nn.Module,
    architecture: str,
    arguments: Mapping[str, Any],
    mean: Sequence[float],
    std: Sequence[float],
    classes: Sequence[str],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a model's weights, whole or not at all; the same weights and texts give the same file.

    Those of a bfloat16 model are stored as they are, all others as fp16.

    Parameters
    ----------
    architecture, arguments
        timm's model name and the keyword arguments that build `model`.
    mean, std
        Input normalization per RGB channel, for values in 0..1.
    classes
        Class names, in the order of the logits.
    metadata
        Further texts to store.

    Raises
    ------
    ModelError
        If the model is not what architecture and arguments build, or a weight does not fit its type.
    """
    state = model.state_dict()
    floats = {tensor.dtype for tensor in state.values() if tensor.is_floating_point()}
    dtype = torch.bfloat16 if floats == {torch.bfloat16} else torch.float16
    with about(path):
        _compare(
            {n: tuple(t.shape) for n, t in state.items()}, build_meta(architecture, arguments), architecture, arguments
        )
    write_checkpoint(
        path,
        lambda name: state[name].detach().cpu(),
        architecture,
        arguments,
        mean,
        std,
        classes,
        metadata,
        dtype=dtype,
    )


def write_checkpoint(
    path: Path,
    tensor_of: Callable[[str], Tensor],
    architecture: str,
    arguments: Mapping[str, Any],
    mean: Sequence[float],
    std: Sequence[float],
    classes: Sequence[str],
    metadata: Mapping[str, str] | None = None,
    *,
    dtype: torch.dtype,
) -> None:
    """As `save_checkpoint`, of a model that need not be in memory at once.

    Parameters
    ----------
    tensor_of
        Gives the tensor of a name in the model's state, on the CPU; called once for each.
    dtype
        What floating-point tensors are stored as, float16 or bfloat16.
    """
    with about(path):
        blank = build_meta(architecture, arguments)
        _check_classes(classes, blank)
        texts = {
            **(metadata or {}),
            **measure_geometry(blank).to_metadata(),
            "architecture": architecture,
            "model_args": json.dumps(dict(arguments)),
            "mean": json.dumps(list(mean)),
            "std": json.dumps(list(std)),
            "classes": json.dumps(list(classes)),
        }
        layouts = {
            name: Layout(dtype if tensor.is_floating_point() else torch.int64, tuple(tensor.shape))
            for name, tensor in blank.state_dict().items()
        }
        write_tensors(Path(path), layouts, lambda name: _to_stored(name, tensor_of(name), layouts[name].dtype), texts)


def load_model(checkpoint: Path) -> nn.Module:
    """The unsplit timm model of a checkpoint, in eval mode, on the CPU.

    It takes and gives float32; it computes in float32, or in bfloat16 if the checkpoint is of bfloat16.

    Raises
    ------
    OSError
        If the file cannot be read.
    ModelError
        If it is not the checkpoint of the model it names.
    """
    checkpoint = Path(checkpoint)
    cpu = torch.device("cpu")
    with about(checkpoint):
        header = read_header(checkpoint)
        model = build_meta(header.architecture, header.arguments)
        verify(header, model)
        model.load_state_dict(read_tensors(header, header.shapes, cpu), assign=True)
    dtype = float_dtype(header)
    compute_tables(model, cpu, dtype)
    if dtype != torch.float32:
        model.register_forward_pre_hook(lambda _, images: tuple(x.to(dtype) for x in images))
        model.register_forward_hook(lambda _, images, logits: logits.to(torch.float32))
    return model


def verify(header: Header, model: nn.Module) -> None:
    """Compare a checkpoint's header with the model it names; no tensor is read.

    Raises
    ------
    ModelError
        Naming the tensors that differ and what was expected.
    """
    _compare(header.shapes, model, header.architecture, header.arguments)
    for name, tensor in model.state_dict().items():
        allowed = FLOAT_DTYPES if tensor.is_floating_point() else ("I64",)
        if header.dtypes[name] not in allowed:
            raise ModelError(f"tensor {name} is of type {header.dtypes[name]}, expected {' or '.join(allowed)}")
    _check_classes(header.classes, model)


def verify_geometry(header: Header, geometry: Geometry) -> None:
    """Refuse a checkpoint whose metadata state other sizes than its model has."""
    stated = Geometry.from_metadata(header.metadata)
    if stated is not None and stated != geometry:
        raise ModelError(f"its metadata state {stated}, but {header.architecture} has {geometry}")


def _compare(
    shapes: Mapping[str, tuple[int, ...]],
    model: nn.Module,
    architecture: str,
    arguments: Mapping[str, Any],
) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    differences = {
        "lacks": [f"{name} {list(expected[name])}" for name in expected if name not in shapes],
        "has besides": [f"{name} {list(shapes[name])}" for name in shapes if name not in expected],
        "has in another shape": [
            f"{name} {list(shapes[name])} (expected {list(shape)})"
            for name, shape in expected.items()
            if name in shapes and tuple(shapes[name]) != shape
        ],
    }
    found = [f"{what} {_shorten(names)}" for what, names in differences.items() if names]
    if found:
        raise ModelError(
            f"not a checkpoint of {architecture} with arguments {dict(arguments)}: it {'; it '.join(found)}"
        )


def _shorten(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _check_classes(classes: Sequence[str], model: Any) -> None:
    if len(classes) != model.num_classes:
        raise ModelError(f"it names {len(classes)} classes, expected {model.num_classes} as the model's head has")


def _to_stored(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    stored = tensor.to(dtype)
    if stored.is_floating_point() and not torch.isfinite(stored).all():
        greatest = torch.finfo(dtype).max
        raise ModelError(
            f"tensor {name} has values up to {tensor.abs().max():g}, expected at most {greatest:g} ({dtype})"
        )
    return stored
