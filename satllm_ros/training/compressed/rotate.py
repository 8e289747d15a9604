"""The same model in other axes: what the residual stream carries, gathered in few channels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from timm.layers import LayerScale
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from satllm_ros.training.recipe import TrainingError


def principal_axes(
    covariances: Sequence[NDArray[np.float64]], metrics: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Orthogonal matrix (D, D) whose first rows are the directions that matter most, over all cuts.

    They are the eigenvectors of the mean over cuts of (G C + C G) / tr(G C), G being the metric in which the
    answer reacts and C the covariance, both without their share along (1, .., 1), which layer norm takes away.
    The matrix maps (1, .., 1) to itself, as `rotate` needs; for that each row gives up some 1/D of itself.

    Parameters
    ----------
    covariances, metrics
        One (D, D) matrix each for every cut.
    """
    width = len(covariances[0])
    center = np.eye(width) - 1 / width
    total = np.zeros((width, width))
    for covariance, metric in zip(covariances, metrics, strict=True):
        product = center @ metric @ center @ covariance @ center
        total += (product + product.T) / np.trace(product)
    # The constant direction is an eigenvector of eigenvalue 0; pushed below all others it is the last.
    _, vectors = np.linalg.eigh(total - np.abs(total).sum() / width * np.ones((width, width)))
    axes = vectors[:, ::-1].T
    constant = np.full(width, width**-0.5)
    axes[-1] = constant
    # A reflection that takes the last axis, to which (1, .., 1) has gone, back to (1, .., 1).
    mirror = np.eye(width)[-1] - constant
    mirrored: NDArray[np.float64] = axes - 2 * np.outer(mirror, mirror @ axes) / (mirror @ mirror)
    return mirrored


@torch.no_grad()
def rotate(model: nn.Module, axes: NDArray[np.float64]) -> None:
    """Turn the residual stream of a plain vision transformer, in place: the same answers from x @ axes.T.

    What writes to the stream is turned, less its mean over channels, which no block reads; what reads from it is
    turned back, with the gains of the layer norms and of layer scale taken in.

    Parameters
    ----------
    axes
        (D, D), orthogonal, mapping (1, .., 1) to itself: layer norm then sees the same mean and spread.

    Raises
    ------
    TrainingError
        If the model is not of a form for which this is exact.
    """
    found: Any = model
    check_turnable(found)
    turn = torch.from_numpy(axes).double()
    centered = turn - turn.mean(dim=1, keepdim=True)
    for name in ("cls_token", "pos_embed", "reg_token"):
        if (held := getattr(found, name, None)) is not None:
            held.copy_(held.double() @ centered.T)
    kernel = found.patch_embed.proj
    kernel.weight.copy_(torch.tensordot(centered, kernel.weight.double(), dims=1))
    if kernel.bias is not None:
        kernel.bias.copy_(centered @ kernel.bias.double())
    for block in found.blocks:
        for norm, reader, writer, scale in (
            (block.norm1, block.attn.qkv, block.attn.proj, block.ls1),
            (block.norm2, block.mlp.fc1, block.mlp.fc2, block.ls2),
        ):
            _turn_reader(norm, reader, turn)
            _turn_writer(writer, scale, centered)
    _turn_reader(found.norm, found.head, turn)


def _turn_reader(norm: nn.LayerNorm, reader: nn.Linear, turn: Tensor) -> None:
    weight, gain, shift = reader.weight.double(), norm.weight.double(), norm.bias.double()
    if reader.bias is None:
        raise TrainingError("a layer after a layer norm has no bias to take in the norm's; this model cannot be turned")
    reader.bias.copy_(reader.bias.double() + weight @ shift)
    reader.weight.copy_((weight * gain) @ turn.T)
    norm.weight.fill_(1)
    norm.bias.fill_(0)


def _turn_writer(writer: nn.Linear, scale: nn.Module, centered: Tensor) -> None:
    if isinstance(scale, LayerScale):
        centered = centered * scale.gamma.double()
        scale.gamma.fill_(1)
    writer.weight.copy_(centered @ writer.weight.double())
    if writer.bias is not None:
        writer.bias.copy_(centered @ writer.bias.double())


def check_turnable(model: Any) -> None:
    """Refuse a model of a form for which `rotate` is not exact.

    Raises
    ------
    TrainingError
        Naming the form that is.
    """
    plain = (
        # Subclasses have tokens, heads and norms of their own.
        type(model) is VisionTransformer
        and all(_plain(block) for block in model.blocks)
        and model.global_pool in ("token", "avg")
        and isinstance(getattr(model.patch_embed, "norm", nn.Identity()), nn.Identity)
        and isinstance(getattr(model, "norm", None), nn.LayerNorm)
        and isinstance(getattr(model, "head", None), nn.Linear)
        and all(isinstance(getattr(model, name, nn.Identity()), nn.Identity) for name in ("norm_pre", "fc_norm"))
        and getattr(model, "attn_pool", None) is None
    )
    if not plain:
        raise TrainingError(
            "only plain vision transformers can be turned: layer norm before attention, MLP and head, nothing in "
            "between but layer scale, the head on the class token or the mean of tokens"
        )


def _plain(block: Any) -> bool:
    try:
        parts = block.norm1, block.norm2, block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2
        scales = block.ls1, block.ls2
        between = block.attn.norm, block.mlp.norm
    except AttributeError:
        return False
    return (
        all(isinstance(norm, nn.LayerNorm) for norm in parts[:2])
        and all(isinstance(layer, nn.Linear) for layer in parts[2:])
        and all(isinstance(module, (nn.Identity, LayerScale)) for module in scales)
        and all(isinstance(module, nn.Identity) for module in between)
    )
