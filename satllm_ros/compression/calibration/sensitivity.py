"""How strongly a model's answer reacts to its activations: the metric in which codecs should be good."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

# Directions in which the logits of each batch of images are looked at.
_PROJECTIONS = 2


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Second moments of the gradient g of a random projection of the centered logits, at one cut.

    Parameters
    ----------
    metric : ndarray float64 (D, D)
        E[g g'] of a patch token.
    prefix_metric : ndarray float64 (D, D)
        E[g g'] of a class or register token.
    squares : ndarray float64 (S, D)
        E[g²] of each element.
    """

    metric: NDArray[np.float64]
    prefix_metric: NDArray[np.float64]
    squares: NDArray[np.float64]


def sensitivities(
    checkpoint: Path, batches: "Iterable[Tensor]", prefix_tokens: int, *, seed: int
) -> dict[int, Sensitivity]:
    """Sensitivity of a whole model at every cut.

    Parameters
    ----------
    batches
        Normalized images, float32 (N, 3, H, W); at least one batch.
    """
    import torch

    from satllm_ros.model.checkpoints.checkpoint import load_model

    model = load_model(checkpoint)
    outputs: dict[int, Tensor] = {}

    def keep(cut: int) -> None:
        def hook(module: object, inputs: object, output: "Tensor") -> None:
            output.retain_grad()
            outputs[cut] = output

        blocks[cut - 1].register_forward_hook(hook)

    blocks = list(model.get_submodule("blocks").children())
    cuts = range(1, len(blocks))
    for cut in cuts:
        keep(cut)
    generator = torch.Generator().manual_seed(seed)
    moments: dict[int, list[NDArray[np.float64]]] = {}
    images = 0
    for batch in batches:
        logits = model(batch.requires_grad_(True))
        logits = logits - logits.mean(dim=1, keepdim=True)
        for last in range(_PROJECTIONS - 1, -1, -1):
            for output in outputs.values():
                output.grad = None
            (logits * torch.randn(logits.shape, generator=generator)).sum().backward(retain_graph=last > 0)
            for cut in cuts:
                gradient = outputs[cut].grad
                assert gradient is not None
                found = _moments(gradient.double().numpy(), prefix_tokens)
                moments[cut] = [a + b for a, b in zip(moments[cut], found, strict=True)] if cut in moments else found
        images += len(batch)
    count = images * _PROJECTIONS
    return {
        cut: Sensitivity(
            patch / (count * (len(squares) - prefix_tokens)), prefix / (count * max(1, prefix_tokens)), squares / count
        )
        for cut, (patch, prefix, squares) in moments.items()
    }


def _moments(gradient: NDArray[np.float64], prefix_tokens: int) -> list[NDArray[np.float64]]:
    groups = gradient[:, prefix_tokens:], gradient[:, :prefix_tokens]
    flat = [group.reshape(-1, gradient.shape[2]) for group in groups]
    return [*(group.T @ group for group in flat), np.square(gradient).sum(axis=0)]
