"""Accuracy of a checkpoint on labelled images, as an unsplit, uncompressed model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from satllm_ros.data.labelled.dataset import Dataset
from satllm_ros.model.checkpoints.checkpoint import load_model
from satllm_ros.model.spec import read_spec
from satllm_ros.model.stage import normalize
from satllm_ros.training.evaluation.accuracy import Accuracy, class_accuracies

_BATCH_SIZE = 256


def evaluate(
    checkpoint: Path, dataset: Dataset, on_images: Callable[[int], None] = lambda images: None
) -> list[Accuracy]:
    """Accuracy of each class, then of all images, in float32.

    Parameters
    ----------
    on_images
        Called after every batch with the number of images just classified.

    Raises
    ------
    DatasetError
        If the data set's classes are not the checkpoint's.
    ModelError
        If the checkpoint or the images' size do not fit.
    """
    return class_accuracies(dataset.labels, predict(checkpoint, dataset, on_images), dataset.classes)


@torch.inference_mode()
def predict(
    checkpoint: Path, dataset: Dataset, on_images: Callable[[int], None] = lambda images: None
) -> NDArray[np.int64]:
    """Predicted class of every image, (n,) int64; see `evaluate`."""
    spec = read_spec(checkpoint)
    dataset.check_classes(spec.classes, str(checkpoint))
    device = training_device()
    model = load_model(checkpoint).to(device)
    predictions = np.empty(len(dataset), dtype=np.int64)
    for start in range(0, len(dataset), _BATCH_SIZE):
        indices = np.arange(start, min(start + _BATCH_SIZE, len(dataset)))
        logits = model(normalize(dataset.stack(indices), spec).to(device))
        predictions[indices] = logits.argmax(dim=1).cpu().numpy()
        on_images(len(indices))
    return predictions


def training_device() -> torch.device:
    """The GPU if torch has one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
