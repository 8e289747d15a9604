"""Codec `int8`: static per-channel scales, class and register tokens apart and finer, zstd."""

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.codecs.body import Body, output_buffer
from satllm_ros.compression.codecs.prefix import decode_prefix, encode_prefix, quantize, rebuild
from satllm_ros.compression.coding.entropy import compress, decompress
from satllm_ros.compression.tables.scales import CutScales
from satllm_ros.compression.wire.frame import FrameHeader, Sections

PATCH_LIMIT = 127


def encode_body(activation: NDArray[np.float32], scales: CutScales) -> Body:
    """Quantize and compress a (N, S, D) float32 activation.

    The symbol of a value x is `q = clip(round((x - mean) / step), -limit, limit)`, rounded half to even, with
    limit 127 for patch tokens and 32767 for class and register tokens. NaN becomes q = 0, that is the mean;
    infinities become the limit of their sign; both are counted.
    """
    prefix_tokens = len(scales.prefix_mean)
    prefix, replaced = encode_prefix(activation[:, :prefix_tokens], scales)
    inverse_step = 1 / scales.step
    buffer = np.empty(activation[0, prefix_tokens:].shape, np.float32)
    chunks = []
    # Image by image, so that the working set of all passes stays in the cache.
    for image in activation[:, prefix_tokens:]:
        replaced += quantize(image, scales.mean, inverse_step, PATCH_LIMIT, buffer)
        chunks.append(compress(buffer.astype(np.int8).data))
    return Body(prefix, chunks, replaced)


def decode_body(
    header: FrameHeader, sections: Sections, scales: CutScales, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Rebuild a (N, S, D) float32 activation: `x = mean + q * step`, product and sum each rounded to float32.

    Raises
    ------
    FrameError
        With fault PAYLOAD if a section does not hold its symbols.
    """
    images, tokens, width = header.shape
    prefix_tokens = header.prefix_tokens
    prefix = decode_prefix(sections.prefix, (images, prefix_tokens, width), scales)
    patches = tokens - prefix_tokens
    # All sections are decompressed before the activation exists: a forged frame fails while it is small.
    chunks = [decompress(chunk, patches * width) for chunk in sections.chunks]
    activation = output_buffer(header.shape, out)
    activation[:, :prefix_tokens] = prefix
    for image, chunk in enumerate(chunks):
        symbols = np.frombuffer(chunk, np.int8).reshape(patches, width)
        rebuild(symbols, scales.mean, scales.step, activation[image, prefix_tokens:])
    return activation
