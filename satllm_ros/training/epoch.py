"""One pass over the training images, and one over the held-out ones."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from satllm_ros.training.augment import augment, mix
from satllm_ros.training.compressed.cascade import draw_cuts, run_cascade
from satllm_ros.training.compressed.gumbel import temperature
from satllm_ros.training.compressed.loop_codec import Annealing, LoopCodec
from satllm_ros.training.ranks import Ranks
from satllm_ros.training.recipe import Recipe, learning_rate
from satllm_ros.training.split import TrainingSplit

_LARGEST_GRADIENT_NORM = 1.0
_TEMPERATURE, _LEAST_TEMPERATURE = 2.0, 0.5
# In the last of the epochs masks are no longer drawn: the weights get used to those that will fly.
_DRAWN_SHARE = 2 / 3
# The same held-out images are cut in the same places after every epoch.
_HELD_OUT_SEED = 0


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    split: TrainingSplit,
    recipe: Recipe,
    epoch: int,
    on_batch: Callable[[int, float], None],
    codec: LoopCodec | None = None,
    ranks: Ranks = Ranks(),  # noqa: B008
) -> float:
    """Train one epoch (counted from 0) and return the mean loss; with a codec, cut and coded at random.

    All randomness comes from (recipe.seed, epoch) and the rank, so an epoch run after a restart is the one that would
    have run. A last batch of fewer images than processes is left out.

    Parameters
    ----------
    on_batch
        Called after every batch with its number of images and its loss.
    """
    generator = np.random.default_rng([recipe.seed, epoch])
    torch.manual_seed(int(generator.integers(2**63)))
    device = next(model.parameters()).device
    # Of every model of timm, though not of torch's Module.
    classes = int(model.num_classes)  # type: ignore[arg-type]
    order = torch.from_numpy(generator.permutation(len(split.images)))
    batches = [batch for batch in order.split(recipe.batch_size) if len(batch) >= ranks.world]
    if not ranks.is_first:
        generator = np.random.default_rng([recipe.seed, epoch, ranks.rank])
    total_loss = torch.zeros((), dtype=torch.float64)
    annealing = annealing_of(recipe, epoch)
    parameters = [weight for group in optimizer.param_groups for weight in group["params"]]
    model.train()
    blocks = _count_blocks(model)
    for number, batch in enumerate(batches):
        chosen = ranks.share(batch)
        rate = learning_rate(recipe, epoch * len(batches) + number, recipe.epochs * len(batches))
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("gain", 1)
        images = standardise(augment(split.images[chosen].to(device), generator), split)
        targets = functional.one_hot(split.labels[chosen].to(device), classes).float()
        images, targets = mix(images, targets, recipe.mixup_alpha, generator)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            if codec is None:
                logits = model(images)
            else:
                draw = draw_cuts(len(images), blocks, generator)
                logits = run_cascade(model, images, codec, draw, annealing, generator)
        loss = functional.cross_entropy(logits.float(), targets, label_smoothing=recipe.label_smoothing)
        if codec is not None:
            loss = loss + codec.penalty()
        optimizer.zero_grad(set_to_none=True)
        # The mean over processes is then the mean over the batch, however it was shared.
        (loss * (len(chosen) * ranks.world / len(batch))).backward()
        ranks.average(weight.grad for weight in parameters if weight.grad is not None)
        nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT_NORM)
        optimizer.step()
        total_loss += loss.item() * len(chosen)
        on_batch(len(batch), loss.item())
    if codec is not None:
        # What each has seen of its own shares.
        ranks.average(codec.buffers())
    total_loss = total_loss.to(device)
    ranks.average([total_loss])
    return float(total_loss) * ranks.world / sum(map(len, batches))


@torch.inference_mode()
def held_out_accuracy(model: nn.Module, split: TrainingSplit, batch_size: int, codec: LoopCodec | None = None) -> float:
    """Share of the held-out images classified correctly, in float32 as in flight.

    With a codec, each image is cut and coded at 0 to 5 places, at some keep ratio, the same for the same image.
    """
    generator = np.random.default_rng(_HELD_OUT_SEED)
    still = Annealing(_LEAST_TEMPERATURE, drawn=False)
    device = next(model.parameters()).device
    blocks = _count_blocks(model)
    correct = 0
    model.eval()
    for images, labels in zip(
        split.held_out_images.split(batch_size), split.held_out_labels.split(batch_size), strict=True
    ):
        inputs = standardise(images.to(device).float() / 255, split)
        if codec is None:
            logits = model(inputs)
        else:
            draw = draw_cuts(len(images), blocks, generator)
            logits = run_cascade(model, inputs, codec, draw, still, generator)
        correct += int((logits.argmax(dim=1).cpu() == labels).sum())
    return correct / len(split.held_out_labels)


def annealing_of(recipe: Recipe, epoch: int) -> Annealing:
    """Temperature of an epoch, and whether masks are drawn in it: not in the last third, of three epochs or more."""
    drawn = epoch < math.ceil(_DRAWN_SHARE * recipe.epochs)
    return Annealing(temperature(epoch, recipe.epochs, _TEMPERATURE, _LEAST_TEMPERATURE), drawn)


def standardise(images: Tensor, split: TrainingSplit) -> Tensor:
    """(v - mean) / std per channel of images (N, 3, H, W) in 0..1."""
    mean = torch.tensor(split.mean, device=images.device).view(3, 1, 1)
    std = torch.tensor(split.std, device=images.device).view(3, 1, 1)
    return (images - mean) / std


def _count_blocks(model: nn.Module) -> int:
    blocks = model.get_submodule("blocks")
    assert isinstance(blocks, (nn.Sequential, nn.ModuleList))
    return len(blocks)
