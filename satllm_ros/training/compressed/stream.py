"""What the residual stream of a model carries at each cut, and how the answer reacts to it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from satllm_ros.compression.calibration.channel_statistics import ChannelStatistics
from satllm_ros.compression.calibration.sensitivity import Sensitivity, sensitivities
from satllm_ros.model.spec import read_spec
from satllm_ros.model.stage import load_blocks
from satllm_ros.training.recipe import TrainingError


@dataclass(frozen=True, eq=False)
class CutStream:
    """The patch tokens (T of S) at one cut.

    Attributes
    ----------
    mean, std, largest
        Of each element, (T, D), and its largest distance from the mean.
    covariance
        Of channels, about each token's mean, (D, D).
    sensitivity
        Of all tokens.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    largest: NDArray[np.float64]
    covariance: NDArray[np.float64]
    sensitivity: Sensitivity

    def weights(self, prefix_tokens: int) -> NDArray[np.float64]:
        """How much each element matters, (T, D): the sensitivity's squares times its variance."""
        weights: NDArray[np.float64] = self.sensitivity.squares[prefix_tokens:] * np.square(self.std)
        return weights


def observe_stream(checkpoint: Path, batches: Callable[[], Iterable[Tensor]], *, seed: int) -> dict[int, CutStream]:
    """The stream at every cut, without compression.

    Parameters
    ----------
    batches
        Gives, each time it is called, the same normalized images, float32 (N, 3, H, W). Called twice.

    Raises
    ------
    TrainingError
        If the model has a single block.
    """
    spec = read_spec(checkpoint)
    if spec.blocks < 2:
        raise TrainingError(f"{checkpoint} has {spec.blocks} block and so no cut; at least 2 are needed")
    prefix = spec.prefix_tokens
    stages = load_blocks(checkpoint, spec.blocks - 1)
    elements = [ChannelStatistics() for _ in stages]
    products = np.zeros((len(stages), spec.width, spec.width))
    for values in batches():
        for index, stage in enumerate(stages):
            values = stage(values)
            patches = values[:, prefix:].numpy()
            elements[index].add(patches)
            flat = patches.reshape(-1, spec.width)
            products[index] += flat.T @ flat
    found = sensitivities(checkpoint, batches(), prefix, seed=seed)
    streams = {}
    for index, seen in enumerate(elements):
        covariance = products[index] / seen.count - seen.mean.T @ seen.mean
        streams[index + 1] = CutStream(seen.mean, seen.std, seen.largest_deviation, covariance, found[index + 1])
    return streams
