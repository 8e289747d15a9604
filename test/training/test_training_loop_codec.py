"""Codecs in the loop: nested masks, gradients, and what the codecs that fly do with the same activation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from satllm_ros.compression.calibration.sensitivity import Sensitivity
from satllm_ros.compression.tables.mask_file import load_masks, save_masks, with_masks
from satllm_ros.compression.wire.errors import ArtefactError
from satllm_ros.training.compressed.cascade import draw_cuts
from satllm_ros.training.compressed.loop_codec import Annealing, LearnedMasks
from satllm_ros.training.compressed.stream import CutStream

TOKENS, WIDTH = 5, 8
STILL = Annealing(1.0, drawn=False)


def stream(seed: int) -> CutStream:
    generator = np.random.default_rng(seed)
    size = (TOKENS - 1, WIDTH)
    squares = generator.uniform(0.1, 1, (TOKENS, WIDTH))
    sensitivity = Sensitivity(np.eye(WIDTH), np.eye(WIDTH), squares)
    std = generator.uniform(0.5, 2, size)
    return CutStream(generator.normal(0, 1, size), std, 4 * std, np.eye(WIDTH), sensitivity)


@pytest.fixture
def masks() -> LearnedMasks:
    return LearnedMasks({1: stream(1), 2: stream(2)}, 1)


def kept_of(masks: LearnedMasks, cut: int, keep: float) -> np.ndarray:
    """Which elements of a patch token arrive as anything but the mean, (T * D,)."""
    far = torch.cat([torch.zeros(1, 1, WIDTH), (masks.mean[cut - 1] + 0.9 * masks.largest[cut - 1])[None]], dim=1)
    arrived = masks(far, cut, torch.tensor([keep]), STILL, np.random.default_rng(0))
    return (arrived[0, 1:] != masks.mean[cut - 1]).numpy().reshape(-1)


def test_masks_are_nested_and_keep_the_share_and_the_order(masks: LearnedMasks) -> None:
    elements = (TOKENS - 1) * WIDTH
    for cut, order in masks.orders().items():
        assert sorted(order) == list(range(elements))
        weights = stream(cut).weights(1).reshape(-1)
        assert np.array_equal(order, np.argsort(-weights))
        before = np.zeros(elements, dtype=bool)
        for keep in (0.1, 0.25, 0.5, 1.0):
            kept = kept_of(masks, cut, keep)
            assert set(np.flatnonzero(kept)) == set(order[: int(keep * elements + 0.5)])
            assert (kept | before).sum() == kept.sum()
            before = kept


def test_gradients_reach_logits_and_what_was_kept(masks: LearnedMasks) -> None:
    values = torch.randn(3, TOKENS, WIDTH, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    arrived = masks(values, 2, torch.full((3,), 0.5), STILL, np.random.default_rng(0))
    assert torch.equal(arrived[:, 0], values[:, 0])
    arrived.sum().backward()
    assert torch.count_nonzero(masks.logits.grad[0]) == 0
    assert torch.count_nonzero(masks.logits.grad[1]) > 0
    kept = torch.zeros((TOKENS - 1) * WIDTH)
    kept[masks.orders()[2][: len(kept) // 2].astype(np.int64)] = 1
    assert torch.equal(values.grad[:, 1:].reshape(3, -1), kept.expand(3, -1))


def test_the_sparsity_loss_lowers_the_logits(masks: LearnedMasks) -> None:
    masks.penalty().backward()
    assert (masks.logits.grad > 0).all()


def test_the_noise_draws_other_masks_and_the_same_from_the_same_seed(masks: LearnedMasks) -> None:
    values = torch.randn(1, TOKENS, WIDTH, generator=torch.Generator().manual_seed(0))
    drawn = Annealing(1.0, drawn=True)

    def run(seed: int) -> torch.Tensor:
        return masks(values, 1, torch.tensor([0.4]), drawn, np.random.default_rng(seed)).detach()

    assert torch.equal(run(1), run(1))
    assert any(not torch.equal(run(1), run(seed)) for seed in range(2, 8))


def test_the_running_mean_follows_what_reaches_the_cut(masks: LearnedMasks) -> None:
    before = masks.mean[0].clone()
    values = torch.full((4, TOKENS, WIDTH), 50.0)
    masks.observe(1, values)
    assert ((masks.mean[0] > before) & (masks.mean[0] < 50)).all()
    assert (masks.largest[0] > 40).all()


def test_cuts_are_drawn_as_said_and_by_the_seed() -> None:
    draw = draw_cuts(4000, 12, np.random.default_rng(3))
    counts = draw.cuts.sum(dim=1)
    assert draw.cuts.shape == (4000, 11)
    assert set(counts.tolist()) == set(range(6))
    assert (draw.cuts.float().mean(dim=0) - 2.5 / 11).abs().max() < 0.03
    assert 0.05 <= draw.keep.min() < 0.06 and 0.38 < draw.keep.max() <= 0.4001
    again = draw_cuts(4000, 12, np.random.default_rng(3))
    assert torch.equal(draw.cuts, again.cuts) and torch.equal(draw.keep, again.keep)
    assert draw_cuts(50, 2, np.random.default_rng(0)).cuts.sum(dim=1).max() == 1


def test_masks_go_through_a_file_into_tables(masks: LearnedMasks, tmp_path: Path) -> None:
    path = tmp_path / "masks.safetensors"
    save_masks(path, masks.orders(), "one")
    found = load_masks(path, model_id="one")
    assert all(np.array_equal(found[cut], order) for cut, order in masks.orders().items())
    with pytest.raises(ArtefactError, match=r"masks are of cuts \[1, 2\], needed are those of \[\]"):
        with_masks({}, found)
    with pytest.raises(ArtefactError, match="holds masks of model one, needed are those of other"):
        load_masks(path, model_id="other")
    path.write_bytes(b"nothing")
    with pytest.raises(ArtefactError, match="is not a safetensors file"):
        load_masks(path, model_id="one")
    save_file({"cut1.mask_order": np.arange(4, dtype=np.uint32)}, path)
    with pytest.raises(ArtefactError, match="holds no masks"):
        load_masks(path, model_id="one")
