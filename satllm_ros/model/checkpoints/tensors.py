"""The tensors of a safetensors file, read and written one at a time: memory holds one of them beside what is kept."""

import json
import mmap
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from satllm_ros.model.checkpoints.header import Header
from satllm_ros.model.errors import ModelError

DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "I64": torch.int64}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_LENGTH_BYTES = 8


@dataclass(frozen=True)
class Layout:
    """What a tensor is stored as."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return self.dtype.itemsize * prod(self.shape)


def float_dtype(header: Header) -> torch.dtype:
    """Type in which the model of a checkpoint is held and computes."""
    return torch.bfloat16 if header.is_bfloat16 else torch.float32


def read_tensors(header: Header, names: Iterable[str], device: torch.device) -> dict[str, Tensor]:
    """Read the named tensors alone; floating point ones become what the model computes in.

    Raises
    ------
    OSError
        If the file cannot be read.
    ModelError
        If it has become shorter since its header was read.
    """
    tensors: dict[str, Tensor] = {}
    with header.path.open("rb") as file:
        begins = _begins(file)
        for name in names:
            stored = _read(file, name, begins[name], Layout(DTYPES[header.dtypes[name]], header.shapes[name]))
            dtype = float_dtype(header) if stored.is_floating_point() else stored.dtype
            held = stored if stored.dtype == dtype else _memory(Layout(dtype, tuple(stored.shape))).copy_(stored)
            tensors[name] = held.to(device)
    return tensors


def write_tensors(
    path: Path, layouts: Mapping[str, Layout], tensor_of: Callable[[str], Tensor], texts: Mapping[str, str]
) -> None:
    """Write a safetensors file, whole or not at all; the same content gives the same file.

    Parameters
    ----------
    layouts
        Type and shape of each tensor, by name.
    tensor_of
        Gives the tensor of a name; called once for each, and let go of before the next.
    texts
        The file's metadata.
    """
    # Not by safetensors' own writer: it orders metadata at random, and a model is known by its file's hash.
    header: dict[str, Any] = {"__metadata__": dict(sorted(texts.items()))}
    # The widest type first, as safetensors has it, so that every tensor starts at a multiple of its element.
    names = sorted(layouts, key=lambda name: (-layouts[name].dtype.itemsize, name))
    begin = 0
    for name in names:
        layout = layouts[name]
        offsets = [begin, begin + layout.bytes]
        header[name] = {"dtype": _NAMES[layout.dtype], "shape": list(layout.shape), "data_offsets": offsets}
        begin += layout.bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(len(text).to_bytes(_LENGTH_BYTES, "little") + text)
            for name in names:
                # As bytes: numpy has no bfloat16.
                file.write(tensor_of(name).contiguous().view(-1).view(torch.uint8).numpy().data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _begins(file: BufferedReader) -> dict[str, int]:
    """Where each tensor begins in the file; the header is one that `read_header` has accepted."""
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    entries = json.loads(file.read(length))
    entries.pop("__metadata__", None)
    return {name: _LENGTH_BYTES + length + entry["data_offsets"][0] for name, entry in entries.items()}


def _read(file: BufferedReader, name: str, begin: int, layout: Layout) -> Tensor:
    # Into memory of its own, not by safetensors: what it maps counts as the process's, the whole file of it.
    tensor = _memory(layout)
    file.seek(begin)
    if (found := file.readinto(tensor.view(-1).view(torch.uint8).numpy().data)) != layout.bytes:
        raise ModelError(f"tensor {name} ends after {found} bytes, expected {layout.bytes}")
    return tensor


def _memory(layout: Layout) -> Tensor:
    """A tensor in a mapping of its own, which goes back to the system with it.

    malloc keeps what lies free at the end of a thread's arena, even when told to trim, and threads load models.
    """
    if not layout.bytes:
        return torch.empty(layout.shape, dtype=layout.dtype)
    pages = mmap.mmap(-1, layout.bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return torch.frombuffer(pages, dtype=layout.dtype).reshape(layout.shape)
