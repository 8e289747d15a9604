"""Transforms from second moments: directions in the order in which they matter to the model's answer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.tables.cut_tables import LEVELS_PER_STEP, TOKEN_UNIT

# The finest step of the quantizer, in logits. Half a thousandth is far below what changes an answer.
FINEST_STEP = 2.0**-11
# How much of the plain Euclidean metric is mixed in: gradients of some thousand images do not see every direction.
_PLAIN_SHARE = 0.05
_INT16 = 32767


@dataclass(frozen=True, eq=False)
class ChannelTransform:
    """Channels to coefficients and back as the artefacts hold them; see `CutTables`."""

    forward: NDArray[np.int16]
    forward_scale: NDArray[np.float32]
    inverse: NDArray[np.int16]
    inverse_scale: NDArray[np.float32]

    def matrix(self) -> NDArray[np.float32]:
        """The forward matrix as float32 (D, K), in finest steps."""
        return self.forward.astype(np.float32) * self.forward_scale

    def only(self, kept: NDArray[np.bool_]) -> "ChannelTransform":
        """The transform with only some of its coefficients."""
        return ChannelTransform(self.forward[:, kept], self.forward_scale[kept], self.inverse[kept], self.inverse_scale)


def channel_transform(metric: NDArray[np.float64], covariance: NDArray[np.float64]) -> ChannelTransform:
    """Karhunen-Loeve transform of values with this covariance, in this metric.

    With H the square root of the metric, the rows of U'H decorrelate the values, and an error of e in a coefficient
    changes the logits by e.
    """
    width = len(metric)
    metric = (1 - _PLAIN_SHARE) * metric + _PLAIN_SHARE * np.trace(metric) / width * np.eye(width)
    squares, axes = np.linalg.eigh(metric)
    roots = np.sqrt(np.maximum(squares, squares[-1] * 1e-9 + 1e-30))
    root, inverse_root = (axes * roots) @ axes.T, (axes / roots) @ axes.T
    _, directions = np.linalg.eigh(root @ covariance @ root)
    directions = directions[:, ::-1]
    forward = root @ directions / FINEST_STEP
    inverse = directions.T @ inverse_root * FINEST_STEP / (LEVELS_PER_STEP * TOKEN_UNIT)
    forward_scale = (np.abs(forward).max(axis=0) / _INT16).astype(np.float32)
    inverse_scale = (np.abs(inverse).max(axis=0) / _INT16).astype(np.float32)
    return ChannelTransform(
        np.rint(forward / forward_scale).astype(np.int16),
        forward_scale,
        np.rint(inverse / inverse_scale[None]).clip(-_INT16, _INT16).astype(np.int16),
        inverse_scale,
    )


def token_transform(covariance: NDArray[np.float64]) -> NDArray[np.int16]:
    """Karhunen-Loeve transform of tokens (T, T), int16 in units of 2^-14."""
    _, directions = np.linalg.eigh(covariance)
    transform: NDArray[np.int16] = np.rint(directions[:, ::-1].T * TOKEN_UNIT).astype(np.int16)
    return transform


def quarter_octaves(std: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Spread of coefficients, in finest steps, as uint8: `11 + 4 log2(std)`, at least 0."""
    spread: NDArray[np.uint8] = np.clip(np.rint(11 + 4 * np.log2(np.maximum(std, 1e-9))), 0, 255).astype(np.uint8)
    return spread
