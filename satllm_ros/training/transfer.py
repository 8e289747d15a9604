"""The weights of one model as the beginning of another: other classes, image sizes, patch sizes."""

import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from satllm_ros.training.recipe import TrainingError

_HEAD = "head."


@torch.no_grad()
def transfer(checkpoint: Path, model: nn.Module, *, with_head: bool) -> None:
    """Load what fits of a checkpoint of the same architecture into a model with fresh weights, in place.

    Patch kernel and positions are resampled by timm to the model's patch and image size. The model keeps its own
    fresh head unless told otherwise.

    Parameters
    ----------
    checkpoint
        safetensors file of this package or of timm, with or without a head.

    Raises
    ------
    TrainingError
        If weights other than the head's are absent, too many, or of another shape.
    """
    try:
        state = load_file(checkpoint)
    except SafetensorError as error:
        raise TrainingError(f"{checkpoint} is not a safetensors file: {error}") from error
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    # timm keeps the function that adapts checkpoints of a class beside it.
    adapt: Any = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if adapt is not None:
        state = adapt(state, model)
    if not with_head:
        state = {name: tensor for name, tensor in state.items() if not name.startswith(_HEAD)}
    expected = {name for name in model.state_dict() if with_head or not name.startswith(_HEAD)}
    differences = {
        "lacks": sorted(expected - set(state)),
        "has besides": sorted(set(state) - expected),
        "has in another shape": sorted(
            name for name in expected & set(state) if state[name].shape != model.state_dict()[name].shape
        ),
    }
    if found := [f"{what} {', '.join(names[:3])}" for what, names in differences.items() if names]:
        raise TrainingError(f"{checkpoint} does not fit the model to be trained: it {'; it '.join(found)}")
    model.load_state_dict(state, strict=False)
