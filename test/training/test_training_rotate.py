"""A model in other axes is the same model, and masks lose less."""

import numpy as np
import pytest
import torch

from satllm_ros.assets.paths import DEMO_CHECKPOINT, asset
from satllm_ros.model.checkpoints.checkpoint import load_model
from satllm_ros.model.structure import build
from satllm_ros.training.compressed.rotate import principal_axes, rotate
from satllm_ros.training.recipe import TrainingError

TINY = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2, "num_classes": 5}


def random_axes(width: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    mixing = generator.normal(0, 1, (width, width)) * 2.0 ** -np.arange(width)[:, None]
    return principal_axes([mixing.T @ mixing], [np.eye(width)])


def test_axes_are_orthogonal_keep_the_constant_and_gather_the_variance() -> None:
    width = 32
    generator = np.random.default_rng(1)
    mixing = generator.normal(0, 1, (width, width)) * 2.0 ** -np.arange(width)[:, None]
    covariance = mixing.T @ mixing
    axes = principal_axes([covariance, covariance], [np.eye(width), 3 * np.eye(width)])
    assert np.allclose(axes @ axes.T, np.eye(width), atol=1e-12)
    assert np.allclose(axes.sum(axis=1), 1, atol=1e-12)
    center = np.eye(width) - 1 / width
    variances = np.diag(axes @ center @ covariance @ center @ axes.T)
    assert variances[:6].sum() > 0.93 * variances.sum()
    assert np.sort(np.diag(covariance))[-6:].sum() < 0.7 * np.trace(covariance)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"qkv_bias": True, "reg_tokens": 2}, {"global_pool": "avg", "fc_norm": False}, {"init_values": 0.5}],
)
def test_a_turned_model_answers_the_same(arguments: dict[str, object]) -> None:
    torch.manual_seed(0)
    model = build("vit_tiny_patch16_224", {**TINY, **arguments})
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    images = torch.randn(4, 3, 16, 16)
    with torch.inference_mode():
        before = model(images)
        rotate(model, random_axes(16))
        assert torch.allclose(model(images), before, atol=1e-5)


def test_the_stream_itself_is_turned() -> None:
    model, other = (load_model(asset(DEMO_CHECKPOINT)) for _ in range(2))
    axes = random_axes(192)
    rotate(other, axes)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        stream = model.blocks[0](model._pos_embed(model.patch_embed(images)))
        turned = other.blocks[0](other._pos_embed(other.patch_embed(images)))
        expected = (stream - stream.mean(dim=2, keepdim=True)).double() @ torch.from_numpy(axes).T
        assert torch.allclose(turned.double(), expected, atol=1e-4)
        assert torch.equal(model(images).argmax(dim=1), other(images).argmax(dim=1))


@pytest.mark.parametrize(
    "arguments",
    [
        {"scale_attn_norm": True},
        {"global_pool": "avg"},
        {"global_pool": "max", "fc_norm": False},
        {"embed_norm_layer": "layernorm"},
    ],
)
def test_a_model_that_cannot_be_turned_is_refused(arguments: dict[str, object]) -> None:
    model = build("vit_tiny_patch16_224", {**TINY, **arguments})
    with pytest.raises(TrainingError, match="only plain vision transformers"):
        rotate(model, random_axes(16))


def test_a_model_with_tokens_or_blocks_of_its_own_is_refused() -> None:
    for architecture in ("deit_tiny_distilled_patch16_224", "eva02_tiny_patch14_224", "beit_base_patch16_224"):
        arguments = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2, "num_classes": 5}
        with pytest.raises(TrainingError, match="only plain vision transformers"):
            rotate(build(architecture, arguments), random_axes(16))
