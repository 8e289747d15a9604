"""The static scales of one cut."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.wire.errors import ArtefactError

# Beyond this, float32 cannot tell neighboring steps apart and coding a decoded activation again would drift.
MAX_MEAN_STEPS = 2.0**20
# Leaves room in float32 for a mean and 32768 steps, so that no symbol stands for infinity.
MAX_MAGNITUDE = 1e30
MIN_STEP = 1e-30


@dataclass(frozen=True, eq=False)
class CutScales:
    """Scales of one cut; the symbol q of a channel stands for `mean + q * step`.

    Parameters
    ----------
    mean, step : ndarray float32 (D,)
        Of the patch tokens, whose q is 8 bit.
    prefix_mean, prefix_step : ndarray float32 (P, D)
        Of each class or register token, whose q is 16 bit.
    """

    mean: NDArray[np.floating[Any]]
    step: NDArray[np.floating[Any]]
    prefix_mean: NDArray[np.floating[Any]]
    prefix_step: NDArray[np.floating[Any]]

    def arrays(self) -> dict[str, NDArray[np.floating[Any]]]:
        """The four arrays by name, in the order in which they are hashed."""
        return {
            "mean": self.mean,
            "step": self.step,
            "prefix_mean": self.prefix_mean,
            "prefix_step": self.prefix_step,
        }

    def checked(self, cut: int, prefix_tokens: int, width: int) -> "CutScales":
        """Read-only float32 copy, if the values are usable.

        Raises
        ------
        ArtefactError
            If a shape is wrong, a value not finite or too large, a step too small or a mean too far from 0.
        """
        arrays = {name: _frozen(array) for name, array in self.arrays().items()}
        for name, array in arrays.items():
            shape = (prefix_tokens, width) if name.startswith("prefix") else (width,)
            if array.shape != shape:
                raise ArtefactError(f"{name} of cut {cut} has shape {array.shape}, must be {shape}")
            if not (np.abs(array) <= MAX_MAGNITUDE).all():
                raise ArtefactError(f"{name} of cut {cut} holds a value that is no number or above {MAX_MAGNITUDE:g}")
        for mean, step in (("mean", "step"), ("prefix_mean", "prefix_step")):
            if not (arrays[step] >= MIN_STEP).all():
                raise ArtefactError(f"{step} of cut {cut} holds a value below {MIN_STEP:g}")
            if not (np.abs(arrays[mean], dtype=np.float64) <= MAX_MEAN_STEPS * arrays[step].astype(np.float64)).all():
                raise ArtefactError(f"{mean} of cut {cut} holds a value more than 2^20 steps from zero")
        return CutScales(**arrays)


def _frozen(array: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    copy = np.array(array, dtype="<f4", order="C", copy=True)
    copy.flags.writeable = False
    return copy
