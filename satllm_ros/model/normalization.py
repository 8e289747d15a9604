"""Images as a model takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from satllm_ros.model.errors import ModelError
from satllm_ros.model.spec import ModelSpec


def normalize(images: NDArray[np.uint8], spec: ModelSpec) -> NDArray[np.float32]:
    """Model input from images: (v / 255 - mean) / std per channel.

    Parameters
    ----------
    images
        uint8 (N, H, W, 3), RGB, of the model's input size.

    Returns
    -------
    NDArray[np.float32]
        (N, 3, H, W).

    Raises
    ------
    ModelError
        If the images are of another type or size.
    """
    expected = (spec.image_height, spec.image_width, 3)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
        raise ModelError(
            f"images are {images.dtype} of shape {images.shape}, expected uint8 of shape "
            f"(N, {spec.image_height}, {spec.image_width}, 3)"
        )
    # One operation after the other, each rounded to float32: the same bits as PyTorch's.
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32)
    planes /= np.float32(255.0)
    planes -= _per_channel(spec.mean)
    planes /= _per_channel(spec.std)
    return planes


def _per_channel(values: tuple[float, float, float]) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)[:, None, None]
