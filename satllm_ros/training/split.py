"""Decoded training and held-out images."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satllm_ros.data.labelled.dataset import Dataset
from satllm_ros.data.labelled.datasets import held_out, held_out_part
from satllm_ros.training.recipe import Recipe, TrainingError


@dataclass(frozen=True)
class TrainingSplit:
    """Images as (n, 3, H, W) uint8 and labels as (n,) int64, the training part and the part held out from it.

    `mean` and `std` are of the training part's channels, in 0..1; `data_id` hashes all names and labels, and
    which are held out.
    """

    images: Tensor
    labels: Tensor
    held_out_images: Tensor
    held_out_labels: Tensor
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    data_id: str


def split_training_images(dataset: Dataset, recipe: Recipe) -> TrainingSplit:
    """Decode a training split and hold out a stratified part of it for every choice.

    Held out is the `held_out_part`; `recipe.limit` is of the others.

    Raises
    ------
    DatasetError
        If there are too few images to hold any out.
    TrainingError
        If there are fewer than the limit.
    """
    kept_out = np.zeros(len(dataset), dtype=bool)
    kept_out[held_out_part(dataset.labels, recipe.held_out_images)] = True
    trained = np.flatnonzero(~kept_out)
    if recipe.limit is not None:
        if not 1 <= recipe.limit <= len(trained):
            raise TrainingError(
                f"limit {recipe.limit} is not allowed; 1 to {len(trained)} are, since {kept_out.sum()} of "
                f"{len(dataset)} training images are held out"
            )
        if recipe.limit < len(trained):
            trained = trained[held_out(dataset.labels[trained], recipe.limit, recipe.seed)]
    indices = np.sort(np.concatenate([trained, np.flatnonzero(kept_out)]))
    labels, kept_out = dataset.labels[indices], kept_out[indices]
    images = dataset.stack(indices)
    mean, std = channel_statistics(images, ~kept_out)
    names = "\n".join(
        f"{dataset.filenames[index]} {dataset.labels[index]} {held}"
        for index, held in zip(indices, kept_out, strict=True)
    )
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    return TrainingSplit(
        images=tensor[torch.from_numpy(~kept_out)].contiguous(),
        labels=torch.from_numpy(labels[~kept_out]),
        held_out_images=tensor[torch.from_numpy(kept_out)].contiguous(),
        held_out_labels=torch.from_numpy(labels[kept_out]),
        mean=mean,
        std=std,
        data_id=hashlib.sha256(names.encode()).hexdigest()[:16],
    )


def channel_statistics(
    images: NDArray[np.uint8], chosen: NDArray[np.bool_]
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of each channel over all pixels of the chosen images, in 0..1.

    `images` is (n, H, W, 3). Counted from histograms, so that no float copy of the data set is made.
    """
    levels = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(3):
        counts = np.bincount(images[chosen, :, :, channel].reshape(-1), minlength=256)
        mean = float(counts @ levels / counts.sum())
        means.append(round(mean, 6))
        # A constant channel has no spread to divide by.
        deviations.append(round(max(float(counts @ (levels - mean) ** 2 / counts.sum()) ** 0.5, 1 / 255), 6))
    return (means[0], means[1], means[2]), (deviations[0], deviations[1], deviations[2])
