"""Augmentation of overhead images, on whole uint8 batches."""

import numpy as np
import torch
from torch import Tensor

_SHIFT_SHARE = 1 / 8
_CONTRAST = 0.2
_CHANNEL_GAIN = 0.05


def augment(images: Tensor, generator: np.random.Generator) -> Tensor:
    """Random symmetry of the square, shift and light color change, drawn for each image by itself.

    An overhead image has no up: all eight rotations and reflections are as likely (four if it is not square).
    Shifts reach 1/8 of the side, what comes in is mirrored at the border. Brightness and contrast change by
    up to 20 %, each channel's gain by up to 5 %.

    Parameters
    ----------
    images
        (N, C, H, W) uint8.
    generator
        Source of all randomness.

    Returns
    -------
    torch.Tensor
        (N, C, H, W) float32 in 0..1, on the device of `images`.
    """
    count, channels, height, width = images.shape
    if height == width:
        transposed = torch.from_numpy(generator.random(count) < 0.5).to(images.device)
        images = torch.where(transposed[:, None, None, None], images.transpose(2, 3), images)
    rows = _moved(count, height, generator).to(images.device)
    columns = _moved(count, width, generator).to(images.device)
    each = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    moved = images[each, channel, rows[:, None, :, None], columns[:, None, None, :]].float() / 255
    contrast = _uniform(generator, (count, 1, 1, 1), _CONTRAST).to(images.device)
    brightness = _uniform(generator, (count, 1, 1, 1), _CONTRAST).to(images.device)
    gain = _uniform(generator, (count, channels, 1, 1), _CHANNEL_GAIN).to(images.device)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    return (((moved - mean) * contrast + mean) * brightness * gain).clamp_(0, 1)


def mix(images: Tensor, targets: Tensor, alpha: float, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mixup: share * x_i + (1 - share) * x_j of images and targets alike.

    One share ~ Beta(alpha, alpha) a batch; the partners j are a permutation of the batch.

    Parameters
    ----------
    images
        (N, C, H, W) float.
    targets
        (N, E) float, class probabilities.
    """
    share = float(generator.beta(alpha, alpha))
    partner = torch.from_numpy(generator.permutation(len(images))).to(images.device)
    return torch.lerp(images[partner], images, share), torch.lerp(targets[partner], targets, share)


def _moved(count: int, side: int, generator: np.random.Generator) -> Tensor:
    """Source index of every position along one axis, (count, side): shifted, half of the rows reversed."""
    reach = int(side * _SHIFT_SHARE)
    shift = generator.integers(-reach, reach + 1, size=(count, 1))
    index = np.abs(np.arange(side)[None, :] + shift)
    index = np.where(index >= side, 2 * (side - 1) - index, index)
    reversed_ = generator.random((count, 1)) < 0.5
    return torch.from_numpy(np.where(reversed_, side - 1 - index, index))


def _uniform(generator: np.random.Generator, shape: tuple[int, ...], spread: float) -> Tensor:
    return torch.from_numpy(generator.uniform(1 - spread, 1 + spread, size=shape).astype(np.float32))
