"""Codec `int8`: static per-channel scales, class and register tokens apart and finer, zstd."""

import numpy as np

from satllm_ros.compression.body import Body
from satllm_ros.compression.entropy import compress, decompress
from satllm_ros.compression.errors import FrameError, FrameFault
from satllm_ros.compression.frame import FrameHeader, Sections
from satllm_ros.compression.scales import CutScales

PATCH_LIMIT = 127
PREFIX_LIMIT = 32767


def encode_body(activation: np.ndarray, scales: CutScales) -> Body:
    """Quantize and compress a (N, S, D) float32 activation.

    The symbol of a value x is `q = clip(round((x - mean) / step), -limit, limit)`, rounded half to even, with
    limit 127 for patch tokens and 32767 for class and register tokens. NaN becomes q = 0, that is the mean;
    infinities become the limit of their sign; both are counted.
    """
    prefix_tokens = len(scales.prefix_mean)
    prefix, replaced = _encode_prefix(activation[:, :prefix_tokens], scales)
    inverse_step = 1 / scales.step
    buffer = np.empty(activation[0, prefix_tokens:].shape, np.float32)
    chunks = []
    # Image by image, so that the working set of all passes stays in the cache.
    for image in activation[:, prefix_tokens:]:
        replaced += _quantize(image, scales.mean, inverse_step, PATCH_LIMIT, buffer)
        chunks.append(compress(buffer.astype(np.int8).data))
    return Body(prefix, chunks, replaced)


def decode_body(header: FrameHeader, sections: Sections, scales: CutScales) -> np.ndarray:
    """Rebuild a (N, S, D) float32 activation: `x = mean + q * step`, product and sum each rounded to float32.

    Raises
    ------
    FrameError
        With fault PAYLOAD if a section does not hold its symbols.
    """
    images, tokens, width = header.shape
    prefix_tokens = header.prefix_tokens
    prefix = _decode_prefix(sections.prefix, (images, prefix_tokens, width))
    patches = tokens - prefix_tokens
    # All sections are decompressed before the activation exists: a forged frame fails while it is small.
    chunks = [decompress(chunk, patches * width) for chunk in sections.chunks]
    activation = np.empty((images, tokens, width), np.float32)
    _rebuild(prefix, scales.prefix_mean, scales.prefix_step, activation[:, :prefix_tokens])
    for image, chunk in enumerate(chunks):
        symbols = np.frombuffer(chunk, np.int8).reshape(patches, width)
        _rebuild(symbols, scales.mean, scales.step, activation[image, prefix_tokens:])
    return activation


def _quantize(values: np.ndarray, mean: np.ndarray, inverse_step: np.ndarray, limit: int, symbols: np.ndarray) -> int:
    """Write the symbols, still as float32, and return how many values were not finite."""
    replaced = 0
    with np.errstate(invalid="ignore", over="ignore"):
        np.subtract(values, mean, out=symbols)
        np.multiply(symbols, inverse_step, out=symbols)
        # One sum shows in a single pass that nothing needs care; it may also overflow: then the count is 0.
        all_finite = np.isfinite(symbols.sum())
    if not all_finite:
        replaced = int(values.size - np.count_nonzero(np.isfinite(values)))
        symbols[np.isnan(symbols)] = 0
    np.clip(symbols, -limit, limit, out=symbols)
    np.rint(symbols, out=symbols)
    return replaced


def _rebuild(symbols: np.ndarray, mean: np.ndarray, step: np.ndarray, out: np.ndarray) -> None:
    np.multiply(symbols, step, out=out)
    np.add(out, mean, out=out)


def _encode_prefix(values: np.ndarray, scales: CutScales) -> tuple[bytes, int]:
    if values.size == 0:
        return b"", 0
    buffer = np.empty(values.shape, np.float32)
    replaced = _quantize(values, scales.prefix_mean, 1 / scales.prefix_step, PREFIX_LIMIT, buffer)
    # The high bytes are nearly constant, the low ones nearly random: apart, zstd codes each for what it is.
    planes = np.ascontiguousarray(buffer.astype("<i2").view(np.uint8).reshape(-1, 2).T)
    return compress(planes.data), replaced


def _decode_prefix(section: memoryview, shape: tuple[int, int, int]) -> np.ndarray:
    elements = shape[0] * shape[1] * shape[2]
    if elements == 0:
        if len(section):
            raise FrameError(FrameFault.PAYLOAD, f"prefix section has {len(section)} bytes but no tokens")
        return np.empty(shape, np.int16)
    planes = np.frombuffer(decompress(section, 2 * elements), np.uint8).reshape(2, elements)
    return np.ascontiguousarray(planes.T).view("<i2").reshape(shape)
