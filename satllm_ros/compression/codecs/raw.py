"""Codec `raw`: plain little-endian float32, for comparison."""

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.codecs.body import Body, output_buffer
from satllm_ros.compression.wire.errors import FrameError, FrameFault
from satllm_ros.compression.wire.frame import FrameHeader, Sections


def encode_body(activation: NDArray[np.float32], prefix_tokens: int) -> Body:
    """Copy a (N, S, D) float32 activation into sections.

    Finite values survive bit for bit. NaN becomes 0, infinities the largest float32 of their sign; both are
    counted.
    """
    replaced = 0
    finite = np.isfinite(activation)
    if not finite.all():
        replaced = int(finite.size - np.count_nonzero(finite))
        activation = np.nan_to_num(activation, nan=0.0)
    values = activation.astype("<f4", copy=False)
    chunks = [image.tobytes() for image in values[:, prefix_tokens:]]
    return Body(values[:, :prefix_tokens].tobytes(), chunks, replaced)


def decode_body(header: FrameHeader, sections: Sections, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Copy the sections of a frame into a (N, S, D) float32 activation.

    Raises
    ------
    FrameError
        With fault PAYLOAD if a section has not the size of its values, NOT_FINITE if a value is NaN or
        infinite.
    """
    images, tokens, width = header.shape
    prefix_tokens = header.prefix_tokens
    prefix_bytes = 4 * images * prefix_tokens * width
    if len(sections.prefix) != prefix_bytes:
        raise FrameError(
            FrameFault.PAYLOAD,
            f"prefix section has {len(sections.prefix)} bytes, its values take {prefix_bytes}",
        )
    chunk_bytes = 4 * (tokens - prefix_tokens) * width
    for image, chunk in enumerate(sections.chunks):
        if len(chunk) != chunk_bytes:
            raise FrameError(FrameFault.PAYLOAD, f"chunk {image} has {len(chunk)} bytes, its values take {chunk_bytes}")
    activation = output_buffer(header.shape, out)
    activation[:, :prefix_tokens] = np.frombuffer(sections.prefix, "<f4").reshape(images, prefix_tokens, width)
    for image, chunk in enumerate(sections.chunks):
        activation[image, prefix_tokens:] = np.frombuffer(chunk, "<f4").reshape(-1, width)
    if not np.isfinite(activation).all():
        raise FrameError(FrameFault.NOT_FINITE, "a raw frame holds a NaN or an infinity")
    return activation
