"""One pass over the training images, and one over the held-out ones."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from satllm_ros.training.augment import augment, mix
from satllm_ros.training.recipe import Recipe, learning_rate
from satllm_ros.training.split import TrainingSplit

_LARGEST_GRADIENT_NORM = 1.0


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    split: TrainingSplit,
    recipe: Recipe,
    epoch: int,
    on_batch: Callable[[int, float], None],
) -> float:
    """Train one epoch (counted from 0) and return the mean loss.

    All randomness comes from (recipe.seed, epoch), so an epoch run after a restart is the one that would have
    run.

    Parameters
    ----------
    on_batch
        Called after every batch with its number of images and its loss.
    """
    generator = np.random.default_rng([recipe.seed, epoch])
    torch.manual_seed(int(generator.integers(2**63)))
    device = next(model.parameters()).device
    classes = model.num_classes
    order = torch.from_numpy(generator.permutation(len(split.images)))
    batches = order.split(recipe.batch_size)
    total_loss = 0.0
    model.train()
    for number, chosen in enumerate(batches):
        rate = learning_rate(recipe, epoch * len(batches) + number, recipe.epochs * len(batches))
        for group in optimizer.param_groups:
            group["lr"] = rate
        images = standardise(augment(split.images[chosen].to(device), generator), split)
        targets = functional.one_hot(split.labels[chosen].to(device), classes).float()
        images, targets = mix(images, targets, recipe.mixup_alpha, generator)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            logits = model(images)
        loss = functional.cross_entropy(logits.float(), targets, label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), _LARGEST_GRADIENT_NORM)
        optimizer.step()
        total_loss += loss.item() * len(chosen)
        on_batch(len(chosen), loss.item())
    return total_loss / len(order)


@torch.inference_mode()
def held_out_accuracy(model: nn.Module, split: TrainingSplit, batch_size: int) -> float:
    """Share of the held-out images classified correctly, in float32 as in flight."""
    device = next(model.parameters()).device
    correct = 0
    model.eval()
    for images, labels in zip(
        split.held_out_images.split(batch_size), split.held_out_labels.split(batch_size), strict=True
    ):
        logits = model(standardise(images.to(device).float() / 255, split))
        correct += int((logits.argmax(dim=1).cpu() == labels).sum())
    return correct / len(split.held_out_labels)


def standardise(images: Tensor, split: TrainingSplit) -> Tensor:
    """(v - mean) / std per channel of images (N, 3, H, W) in 0..1."""
    mean = torch.tensor(split.mean, device=images.device).view(3, 1, 1)
    std = torch.tensor(split.std, device=images.device).view(3, 1, 1)
    return (images - mean) / std
