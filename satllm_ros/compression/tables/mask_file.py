"""Orders of masks in a file: what training learned, for calibration to put into the artefacts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from satllm_ros.compression.tables.cut_tables import CutTables
from satllm_ros.compression.wire.errors import ArtefactError

# One key only: safetensors writes several in any order, and the same training is to give the same file.
_MODEL = "satllm_masks_of_model"


def save_masks(path: Path, orders: Mapping[int, NDArray[np.uint32]], model_id: str) -> None:
    """Write `cut<c>.mask_order`, uint32 (T * D,), the element that matters most first, for every cut of a model."""
    tensors = {f"cut{cut}.mask_order": order.astype("<u4") for cut, order in orders.items()}
    path.write_bytes(save(tensors, {_MODEL: model_id}))


def load_masks(path: Path, *, model_id: str) -> dict[int, NDArray[np.uint32]]:
    """Orders by cut.

    Raises
    ------
    OSError
        If the file cannot be read.
    ArtefactError
        If it holds something else, or masks of another model.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            found = (file.metadata() or {}).get(_MODEL)
            if found is None:
                raise ArtefactError(f"{path} holds no masks that satllm train learned since version 0.4")
            if found != model_id:
                raise ArtefactError(f"{path} holds masks of model {found}, needed are those of {model_id}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ArtefactError(f"{path} is not a safetensors file: {error}") from None
    orders = {}
    for name, order in tensors.items():
        owner, _, what = name.partition(".")
        cut = owner.removeprefix("cut")
        if not (what == "mask_order" and cut.isdecimal() and order.dtype == np.uint32 and order.ndim == 1):
            raise ArtefactError(f"{path} holds the tensor {name!r}; masks are named cut<number>.mask_order")
        orders[int(cut)] = order
    return orders


def with_masks(tables: Mapping[int, CutTables], orders: Mapping[int, NDArray[np.uint32]]) -> dict[int, CutTables]:
    """Tables with other masks.

    Raises
    ------
    ArtefactError
        If there are not masks for just the cuts of the tables.
    """
    if orders.keys() != tables.keys():
        raise ArtefactError(f"masks are of cuts {sorted(orders)}, needed are those of {sorted(tables)}")
    arrays = {cut: table.arrays() for cut, table in tables.items()}
    return {cut: CutTables(**{**arrays[cut], "mask_order": orders[cut]}) for cut in tables}
