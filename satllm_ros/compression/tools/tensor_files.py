"""Activations in .npy and .safetensors files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from satllm_ros.compression.wire.errors import EncodeError

_TENSOR = "activation"


def read_tensor(path: Path, name: str | None = None) -> NDArray[np.float32]:
    """Float32 (N, S, D) of a file; of a .safetensors file the tensor of that name, or its only one.

    Raises
    ------
    OSError
        If the file cannot be read.
    EncodeError
        If it holds something else.
    """
    if path.suffix == ".npy":
        try:
            found = np.load(path, allow_pickle=False)
        except ValueError as error:
            raise EncodeError(f"{path} is no array file: {error}") from None
    elif path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="numpy") as file:
                names = list(file.keys())
                if name is None and len(names) == 1:
                    name = names[0]
                if name not in names:
                    raise EncodeError(f"{path} holds the tensors {', '.join(names)}; name one of them")
                found = file.get_tensor(name)
        except SafetensorError as error:
            raise EncodeError(f"{path} is not a safetensors file: {error}") from None
    else:
        raise EncodeError(f"{path} is neither .npy nor .safetensors")
    if found.dtype.kind != "f" or found.ndim != 3:
        raise EncodeError(f"{path} holds {found.dtype} {found.shape}, must be floats (N, S, D)")
    return np.ascontiguousarray(found, dtype=np.float32)


def write_tensor(path: Path, activation: NDArray[np.float32]) -> None:
    """Write float32 (N, S, D); the name decides the format.

    Raises
    ------
    EncodeError
        If it is neither .npy nor .safetensors.
    """
    if path.suffix == ".npy":
        np.save(path, activation)
    elif path.suffix == ".safetensors":
        path.write_bytes(save({_TENSOR: activation}))
    else:
        raise EncodeError(f"{path} is neither .npy nor .safetensors")
