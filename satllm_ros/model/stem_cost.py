"""What a convolutional stem computes, counted by running it without memory."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from satllm_ros.model.spec import ModelSpec
from satllm_ros.model.structure import build_meta


@torch.no_grad()
def stem_flops(spec: ModelSpec) -> int:
    """Floating point operations of the patch embedding for one tile, two per multiply-accumulate."""
    patch_embed = build_meta(spec.architecture, spec.arguments).get_submodule("patch_embed")
    with FlopCounterMode(display=False) as counter:
        patch_embed(torch.empty(1, 3, spec.image_height, spec.image_width, device="meta"))
    return int(counter.get_total_flops())
