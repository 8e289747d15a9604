"""Orders of masks in a file: what training learned, for calibration to put into the artefacts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from satllm_ros.compression.cut_tables import CutTables
from satllm_ros.compression.errors import ArtefactError


def save_masks(path: Path, orders: Mapping[int, np.ndarray]) -> None:
    """Write `cut<c>.mask_order`, uint32 (T * D,), the element that matters most first, for every cut."""
    tensors = {f"cut{cut}.mask_order": order.astype("<u4") for cut, order in orders.items()}
    path.write_bytes(save(tensors, {"format": "satllm-masks"}))


def load_masks(path: Path) -> dict[int, np.ndarray]:
    """Orders by cut.

    Raises
    ------
    OSError
        If the file cannot be read.
    ArtefactError
        If it holds something else.
    """
    try:
        tensors = load_file(path)
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


def with_masks(tables: Mapping[int, CutTables], orders: Mapping[int, np.ndarray]) -> dict[int, CutTables]:
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
