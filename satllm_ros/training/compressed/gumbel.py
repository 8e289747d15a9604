"""Masks that can be learned: Eq. 1 to 5 of the paper, each as one function."""

from enum import Enum

import torch
from torch import Tensor

_SMALLEST = 1e-6


class Noise(Enum):
    """What is added to the logits of a mask.

    LOGISTIC, the difference of two Gumbel draws, makes the hard mask 1 with the probability sigmoid(logit). SINGLE, one
    Gumbel draw as the paper prints it, has the mean 0.577: the mask keeps too much, 1 - exp(-exp(logit)).
    """

    LOGISTIC = "logistic"
    SINGLE = "single"


def sample_noise(uniform: Tensor, noise: Noise) -> Tensor:
    """Noise from draws of U(0, 1): log(u / (1 - u)), or -log(-log(u)) as printed."""
    uniform = uniform.clamp(_SMALLEST, 1 - _SMALLEST)
    if noise is Noise.LOGISTIC:
        return torch.log(uniform) - torch.log1p(-uniform)
    return -torch.log(-torch.log(uniform))


def soft_mask(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Eq. 1: sigmoid((logit + noise) / temperature)."""
    return torch.sigmoid((logits + noise) / temperature)


def straight_through(soft: Tensor) -> Tensor:
    """Eq. 2: 1 where the soft mask is above 0.5, else 0; its gradient is the soft mask's."""
    return (soft > 0.5).to(soft.dtype) + (soft - soft.detach())


def masked(values: Tensor, mask: Tensor, fill: Tensor) -> Tensor:
    """What arrives: the values where the mask is 1, the fill where it is 0."""
    return fill + mask * (values - fill)


def masked_as_printed(values: Tensor, mask: Tensor) -> Tensor:
    """Eq. 3 as printed, M * X + (1 - M) * stopgrad(X): forward it is X, whatever the mask; nothing is dropped."""
    return mask * values + (1 - mask) * values.detach()


def sparsity_loss(logits: Tensor, weight: float) -> Tensor:
    """Eq. 4: weight * mean of sigmoid(logit)."""
    return weight * torch.sigmoid(logits).mean()


def temperature(epoch: int, epochs: int, start: float, least: float) -> float:
    """Eq. 5: max(least, start * (1 - epoch / epochs)), epochs counted from 0."""
    return max(least, start * (1 - epoch / epochs))
