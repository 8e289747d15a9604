"""Static scales from sample activations."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.calibration.channel_statistics import ChannelStatistics
from satllm_ros.compression.codecs.int8 import PATCH_LIMIT
from satllm_ros.compression.codecs.prefix import PREFIX_LIMIT
from satllm_ros.compression.tables.scales import MAX_MEAN_STEPS, CutScales
from satllm_ros.compression.wire.errors import ArtefactError

# On the demo model 8 steps a standard deviation leave the accuracy as it is; zstd brings a value to 5 bits.
PATCH_STEPS_PER_STD = 8
# A class token weighs as much as tens of patch tokens, and is one token.
PREFIX_STEPS_PER_STD = 64
# For channels that never change: far below what a model reacts to, far above what float32 rounds away.
_LEAST_STEP = 2.0**-20


def calibrate(batches: Iterable[Mapping[int, NDArray[np.float32]]], prefix_tokens: int) -> dict[int, CutScales]:
    """Scales of all cuts that the samples show.

    The mean is the samples'; the step is `max(std / k, max |x - mean| / limit)` with k = 8 and limit 127 for
    patch tokens, pooled, and k = 64 and limit 32767 for each class or register token: no sample is clipped.

    Parameters
    ----------
    batches : iterable of mappings
        For each batch of images, its activation float32 (N, S, D) by cut.
    prefix_tokens : int
        P, number of class and register tokens, which come first.

    Raises
    ------
    ArtefactError
        If there are no samples, or one holds no patch token, NaN or an infinity.
    """
    patches: defaultdict[int, ChannelStatistics] = defaultdict(ChannelStatistics)
    prefix: defaultdict[int, ChannelStatistics] = defaultdict(ChannelStatistics)
    for batch in batches:
        for cut, activation in batch.items():
            _check(activation, cut, prefix_tokens)
            patches[cut].add(activation[:, prefix_tokens:].reshape(-1, activation.shape[2]))
            prefix[cut].add(activation[:, :prefix_tokens])
    if not patches:
        raise ArtefactError("no activations to calibrate with; at least one image is needed")
    return {
        cut: CutScales(
            mean=patches[cut].mean,
            step=_step(patches[cut], PATCH_STEPS_PER_STD, PATCH_LIMIT),
            prefix_mean=prefix[cut].mean,
            prefix_step=_step(prefix[cut], PREFIX_STEPS_PER_STD, PREFIX_LIMIT),
        )
        for cut in sorted(patches)
    }


def _check(activation: NDArray[np.float32], cut: int, prefix_tokens: int) -> None:
    if activation.ndim != 3 or len(activation) == 0 or activation.shape[1] <= prefix_tokens:
        raise ArtefactError(
            f"calibration activation of cut {cut} has shape {activation.shape}, "
            f"must be (N, S, D) with at least 1 image and more than {prefix_tokens} tokens"
        )
    if not np.isfinite(activation).all():
        raise ArtefactError(f"calibration activation of cut {cut} holds NaN or infinity")


def _step(statistics: ChannelStatistics, steps_per_std: int, limit: int) -> NDArray[np.float64]:
    step = np.maximum(statistics.std / steps_per_std, statistics.largest_deviation / limit)
    # Twice the least that artefacts allow, so that rounding to float32 cannot fall below it.
    least = np.maximum(_LEAST_STEP, np.abs(statistics.mean) * 2 / MAX_MEAN_STEPS)
    allowed: NDArray[np.float64] = np.maximum(step, least)
    return allowed
