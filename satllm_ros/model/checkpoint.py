"""Checkpoints: safetensors files of fp16 weights that say which model they are of."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from satllm_ros.model.errors import ModelError, about
from satllm_ros.model.geometry import Geometry
from satllm_ros.model.header import FLOAT_DTYPES, Header, read_header
from satllm_ros.model.structure import build, build_meta, measure_geometry

_NAMES_SHOWN = 3
_DTYPE_NAMES = {torch.float16: "F16", torch.int64: "I64"}


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
    """Write a model's weights as fp16, whole or not at all; the same weights and texts give the same file.

    Parameters
    ----------
    architecture, arguments
        timm's model name and the keyword arguments that build `model`.
    mean, std
        Input normalisation per RGB channel, for values in 0..1.
    classes
        Class names, in the order of the logits.
    metadata
        Further texts to store.

    Raises
    ------
    ModelError
        If the model is not what architecture and arguments build, or a weight does not fit fp16.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with about(path):
        blank = build_meta(architecture, arguments)
        _compare({name: tuple(t.shape) for name, t in state.items()}, blank, architecture, arguments)
        _check_classes(classes, blank)
        stored = {name: _to_stored(name, tensor) for name, tensor in state.items()}
        geometry = measure_geometry(blank)
    texts = {
        **(metadata or {}),
        **geometry.to_metadata(),
        "architecture": architecture,
        "model_args": json.dumps(dict(arguments)),
        "mean": json.dumps(list(mean)),
        "std": json.dumps(list(std)),
        "classes": json.dumps(list(classes)),
    }
    _write(Path(path), stored, texts)


def load_model(checkpoint: Path) -> nn.Module:
    """The unsplit timm model of a checkpoint: float32, eval mode, on the CPU.

    Raises
    ------
    OSError
        If the file cannot be read.
    ModelError
        If it is not the checkpoint of the model it names.
    """
    checkpoint = Path(checkpoint)
    with about(checkpoint):
        header = read_header(checkpoint)
        with torch.random.fork_rng(devices=[]):
            model = build(header.architecture, header.arguments)
        verify(header, model)
    model.load_state_dict(read_tensors(header, header.shapes, torch.device("cpu")), assign=True)
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


def read_tensors(header: Header, names: Iterable[str], device: torch.device) -> dict[str, Tensor]:
    """Read the named tensors alone; floating point ones become float32."""
    tensors: dict[str, Tensor] = {}
    with safe_open(header.path, framework="pt", device="cpu") as file:
        for name in names:
            stored = file.get_tensor(name)
            dtype = torch.float32 if stored.is_floating_point() else stored.dtype
            # A copy even when nothing changes: safetensors' own tensor keeps the whole file mapped.
            tensors[name] = stored.to(device=device, dtype=dtype, copy=True)
    return tensors


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


def _to_stored(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.to(torch.int64)
    stored = tensor.to(torch.float16)
    if not torch.isfinite(stored).all():
        raise ModelError(f"tensor {name} has values up to {tensor.abs().max():g}, expected at most 65504 (fp16)")
    return stored


def _write(path: Path, tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> None:
    # Not by safetensors' own writer: it orders metadata at random, and a model is known by its file's hash.
    header: dict[str, Any] = {"__metadata__": dict(sorted(texts.items()))}
    payload = bytearray()
    # The widest type first, as safetensors has it, so that every tensor starts at a multiple of its element.
    for name in sorted(tensors, key=lambda name: (-tensors[name].element_size(), name)):
        tensor = tensors[name]
        begin = len(payload)
        payload += tensor.numpy().tobytes()
        header[name] = {
            "dtype": _DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, len(payload)],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
