"""What a codec puts between the header and the CRC-32 of a frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Body:
    """Sections of one frame.

    Attributes
    ----------
    prefix
        Class and register tokens of all images.
    chunks
        Patch tokens, one independently decodable chunk per image.
    replaced
        How many NaN or infinite values of the activation stand in it as something finite.
    """

    prefix: bytes
    chunks: list[bytes]
    replaced: int


def output_buffer(shape: tuple[int, int, int], out: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Float32 array to decode into: `out` if it is of that shape and contiguous, else a new one."""
    if out is not None and out.shape == shape and out.dtype == np.float32 and out.flags.c_contiguous:
        return out
    return np.empty(shape, np.float32)
