"""Eq. 1 to 5, against the formulas."""

import math

import numpy as np
import pytest
import torch

from satllm_ros.training.compressed.gumbel import (
    Noise,
    masked,
    masked_as_printed,
    sample_noise,
    soft_mask,
    sparsity_loss,
    straight_through,
    temperature,
)


def uniform(count: int = 200_000) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random(count))


def test_both_noises_are_what_their_formulas_say() -> None:
    for u in (0.1, 0.5, 0.9):
        drawn = torch.tensor([u], dtype=torch.float64)
        assert sample_noise(drawn, Noise.SINGLE).item() == pytest.approx(-math.log(-math.log(u)))
        assert sample_noise(drawn, Noise.LOGISTIC).item() == pytest.approx(math.log(u / (1 - u)))
    assert torch.isfinite(sample_noise(torch.tensor([0.0, 1.0]), Noise.SINGLE)).all()
    assert torch.isfinite(sample_noise(torch.tensor([0.0, 1.0]), Noise.LOGISTIC)).all()


@pytest.mark.parametrize("logit", [-2.0, 0.0, 1.0])
def test_the_printed_noise_keeps_too_much(logit: float) -> None:
    share = {}
    for noise in Noise:
        soft = soft_mask(torch.full((200_000,), logit, dtype=torch.float64), sample_noise(uniform(), noise), 0.7)
        share[noise] = (soft > 0.5).double().mean().item()
    assert share[Noise.LOGISTIC] == pytest.approx(1 / (1 + math.exp(-logit)), abs=5e-3)
    assert share[Noise.SINGLE] == pytest.approx(1 - math.exp(-math.exp(logit)), abs=5e-3)
    assert share[Noise.SINGLE] > share[Noise.LOGISTIC]


def test_the_hard_mask_has_the_gradient_of_the_soft_one() -> None:
    logits = torch.tensor([-1.0, 0.2, 3.0], requires_grad=True)
    noise, scale = torch.tensor([0.5, -0.1, 0.0]), 0.5
    hard = straight_through(soft_mask(logits, noise, scale))
    assert hard.tolist() == [0, 1, 1]
    hard.sum().backward()
    soft = torch.sigmoid((logits.detach() + noise) / scale)
    assert torch.allclose(logits.grad, soft * (1 - soft) / scale)


def test_what_is_masked_out_becomes_the_fill_and_as_printed_nothing_is_dropped() -> None:
    values = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    mask, fill = torch.tensor([1.0, 0.0, 1.0]), torch.tensor([9.0, 8.0, 7.0])
    assert masked(values, mask, fill).tolist() == [1, 8, 3]
    printed = masked_as_printed(values, mask)
    assert printed.tolist() == values.tolist()
    printed.sum().backward()
    assert values.grad.tolist() == mask.tolist()


def test_sparsity_loss_and_temperature() -> None:
    logits = torch.tensor([[0.0, math.log(3)]])
    assert sparsity_loss(logits, 0.4).item() == pytest.approx(0.4 * (0.5 + 0.75) / 2)
    assert [temperature(epoch, 4, 2.0, 0.6) for epoch in range(5)] == [2.0, 1.5, 1.0, 0.6, 0.6]
