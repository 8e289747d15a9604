"""What a mask sends of an image: the choice that the codec makes and the compiled loops carry out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class MaskChoice:
    """What a setting sends of an image at a cut: `places` (n,) in its patch tokens, and their quantizers."""

    places: NDArray[np.uint32]
    mean: NDArray[np.float32]
    step: NDArray[np.float32]
    inverse_step: NDArray[np.float32]
    fill: NDArray[np.float32]
    largest: int
