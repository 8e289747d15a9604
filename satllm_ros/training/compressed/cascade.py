"""A model in training that is cut somewhere else for every image, as it will be in flight."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from satllm_ros.model.structure import run_head, structure_of
from satllm_ros.training.compressed.loop_codec import Annealing, LoopCodec

# A sixth of the images runs uncompressed, as many through a chain of six satellites.
_MOST_CUTS = 5
_LEAST_KEPT, _MOST_KEPT = 0.05, 0.4


@dataclass(frozen=True, eq=False)
class Draw:
    """Where each image is cut, bool (N, L - 1), and its keep ratio at all of its cuts, (N,)."""

    cuts: Tensor
    keep: Tensor


def draw_cuts(images: int, blocks: int, generator: np.random.Generator) -> Draw:
    """0 to 5 cuts for every image, each number as likely; keep ratios 0.05 to 0.4, their logarithms uniform."""
    most = min(_MOST_CUTS, blocks - 1)
    counts = generator.integers(0, most + 1, images)
    ranks = generator.random((images, blocks - 1)).argsort(axis=1).argsort(axis=1)
    keep = np.exp(generator.uniform(np.log(_LEAST_KEPT), np.log(_MOST_KEPT), images))
    return Draw(torch.from_numpy(ranks < counts[:, None]), torch.from_numpy(keep).float())


def run_cascade(
    model: nn.Module,
    images: Tensor,
    codec: LoopCodec,
    draw: Draw,
    annealing: Annealing,
    generator: np.random.Generator,
) -> Tensor:
    """Logits (N, E), every activation coded where its image is cut."""
    found: Any = model
    structure = structure_of(model)
    context = structure.context(found, found.patch_embed.grid_size)
    values = structure.embed(found, images)
    for cut, block in enumerate(found.blocks, start=1):
        if context is None:
            values = block(values)
        else:
            own = context[cut - 1] if getattr(found, "rope_mixed", False) else context
            values = block(values, **{structure.keyword: own})
        if cut == len(found.blocks):
            break
        if model.training:
            codec.observe(cut, values.detach())
        chosen = torch.nonzero(draw.cuts[:, cut - 1]).flatten()
        if len(chosen):
            values = values.float()
            coded = codec(
                values[chosen.to(values.device)], cut, draw.keep[chosen].to(values.device), annealing, generator
            )
            values = values.index_copy(0, chosen.to(values.device), coded)
    return run_head(found, values)
