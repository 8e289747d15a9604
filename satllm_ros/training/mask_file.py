"""Learned masks in a file, from which `satllm calibrate-codec --masks` takes them."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from satllm_ros.training.loop_codec import LearnedMasks
from satllm_ros.training.recipe import TrainingError


def save_masks(path: Path, masks: LearnedMasks) -> None:
    """Write `cut<c>.mask_order`, uint32 (T * D,), the element that matters most first, for every cut."""
    cuts = range(1, len(masks.logits) + 1)
    path.write_bytes(save({f"cut{cut}.mask_order": masks.order(cut) for cut in cuts}, {"format": "satllm-masks"}))


def load_masks(path: Path) -> dict[int, np.ndarray]:
    """Orders by cut.

    Raises
    ------
    OSError
        If the file cannot be read.
    TrainingError
        If it holds something else.
    """
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise TrainingError(f"{path} is not a safetensors file: {error}") from None
    orders = {}
    for name, order in tensors.items():
        owner, _, what = name.partition(".")
        cut = owner.removeprefix("cut")
        if not (what == "mask_order" and cut.isdecimal() and order.dtype == np.uint32):
            raise TrainingError(f"{path} holds the tensor {name!r}; masks are named cut<number>.mask_order")
        orders[int(cut)] = order
    return orders
