"""Codec `fp16`: plain IEEE 754 binary16, the smallest thing a link can do."""

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.codecs.body import Body, output_buffer
from satllm_ros.compression.wire.errors import FrameError, FrameFault
from satllm_ros.compression.wire.frame import FrameHeader, Sections

_LARGEST = np.float32(65504)


def encode_body(activation: NDArray[np.float32], prefix_tokens: int) -> Body:
    """Round a (N, S, D) float32 activation to the nearest binary16, half to even.

    What is beyond 65504 becomes 65504 of its sign, infinities too; NaN becomes 0; NaN and infinities are counted.
    """
    finite = np.isfinite(activation)
    replaced = int(finite.size - np.count_nonzero(finite))
    if replaced:
        activation = np.nan_to_num(activation, nan=0.0)
    values = np.clip(activation, -_LARGEST, _LARGEST).astype("<f2")
    chunks = [image.tobytes() for image in values[:, prefix_tokens:]]
    return Body(values[:, :prefix_tokens].tobytes(), chunks, replaced)


def decode_body(header: FrameHeader, sections: Sections, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Widen the sections of a frame into a (N, S, D) float32 activation.

    Raises
    ------
    FrameError
        With fault PAYLOAD if a section has not the size of its values, NOT_FINITE if a value is NaN or
        infinite.
    """
    images, tokens, width = header.shape
    prefix_tokens = header.prefix_tokens
    chunk_bytes = 2 * (tokens - prefix_tokens) * width
    sizes = [(sections.prefix, 2 * images * prefix_tokens * width), *((c, chunk_bytes) for c in sections.chunks)]
    for section, size in sizes:
        if len(section) != size:
            raise FrameError(FrameFault.PAYLOAD, f"a section has {len(section)} bytes, its values take {size}")
    activation = output_buffer(header.shape, out)
    activation[:, :prefix_tokens] = np.frombuffer(sections.prefix, "<f2").reshape(images, prefix_tokens, width)
    for image, chunk in enumerate(sections.chunks):
        activation[image, prefix_tokens:] = np.frombuffer(chunk, "<f2").reshape(-1, width)
    if not np.isfinite(activation).all():
        raise FrameError(FrameFault.NOT_FINITE, "an fp16 frame holds a NaN or an infinity")
    return activation
