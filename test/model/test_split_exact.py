"""Chained stages compute what the unsplit timm model computes, bit for bit."""

from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from satllm_ros.assets.paths import DEMO_CHECKPOINT, asset
from satllm_ros.model.checkpoints.checkpoint import load_model
from satllm_ros.model.spec import read_spec
from satllm_ros.model.stage import load_stage, normalize


def images(checkpoint: Path, tiles: int, seed: int = 0) -> torch.Tensor:
    spec = read_spec(checkpoint)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(tiles, 3, spec.image_height, spec.image_width, generator=generator)


def run_chain(checkpoint: Path, x: torch.Tensor, cuts: tuple[int, ...]) -> torch.Tensor:
    """As satellites do: each stage loaded by itself, activations carried as contiguous bytes."""
    blocks = read_spec(checkpoint).blocks
    for start, stop in pairwise((0, *cuts, blocks)):
        y = load_stage(checkpoint, start, stop)(x)
        x = torch.from_numpy(np.frombuffer(bytearray(y.numpy().tobytes()), np.float32).reshape(y.shape))
    return x


def test_every_cut_set_gives_the_unsplit_logits(member_checkpoint: Path) -> None:
    blocks = read_spec(member_checkpoint).blocks
    x = images(member_checkpoint, tiles=2)
    with torch.inference_mode():
        expected = load_model(member_checkpoint)(x)
    assert expected.std() > 0
    cut_sets = [cuts for count in range(blocks) for cuts in combinations(range(1, blocks), count)]
    assert len(cut_sets) == 2 ** (blocks - 1)
    for cuts in cut_sets:
        assert torch.equal(run_chain(member_checkpoint, x, cuts), expected), cuts


def test_single_tile(member_checkpoint: Path) -> None:
    x = images(member_checkpoint, tiles=1)
    with torch.inference_mode():
        expected = load_model(member_checkpoint)(x)
    assert torch.equal(run_chain(member_checkpoint, x, (1, 2)), expected)


@settings(max_examples=4, deadline=None)
@given(cuts=st.sets(st.integers(1, 11)), seed=st.integers(0, 2**32 - 1))
def test_shipped_model(cuts: set[int], seed: int) -> None:
    checkpoint = asset(DEMO_CHECKPOINT)
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    x = normalize(pixels, read_spec(checkpoint))
    with torch.inference_mode():
        expected = load_model(checkpoint)(x)
    assert torch.equal(run_chain(checkpoint, x, tuple(sorted(cuts))), expected)
