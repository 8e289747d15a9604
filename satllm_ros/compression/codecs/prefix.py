"""Uniform static quantizer, and with it the class and register tokens at 16 bits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.coding.entropy import compress, decompress
from satllm_ros.compression.tables.scales import CutScales
from satllm_ros.compression.wire.errors import FrameError, FrameFault

PREFIX_LIMIT = 32767


def quantize(
    values: NDArray[np.float32],
    mean: NDArray[np.floating[Any]],
    inverse_step: NDArray[np.floating[Any]],
    limit: int,
    symbols: NDArray[np.float32],
) -> int:
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


def rebuild(
    symbols: NDArray[Any], mean: NDArray[np.floating[Any]], step: NDArray[np.floating[Any]], out: NDArray[np.float32]
) -> None:
    """Write `mean + symbol * step`, product and sum each rounded to float32."""
    np.multiply(symbols, step, out=out)
    np.add(out, mean, out=out)


def encode_prefix(values: NDArray[np.float32], scales: CutScales) -> tuple[bytes, int]:
    """Section of the class and register tokens (N, P, D), and how many of their values were not finite."""
    if values.size == 0:
        return b"", 0
    buffer = np.empty(values.shape, np.float32)
    replaced = quantize(values, scales.prefix_mean, 1 / scales.prefix_step, PREFIX_LIMIT, buffer)
    # The high bytes are nearly constant, the low ones nearly random: apart, zstd codes each for what it is.
    planes = np.ascontiguousarray(buffer.astype("<i2").view(np.uint8).reshape(-1, 2).T)
    return compress(planes.data), replaced


def decode_prefix(section: memoryview, shape: tuple[int, int, int], scales: CutScales) -> NDArray[np.float32]:
    """Values (N, P, D) float32 of a section.

    Raises
    ------
    FrameError
        With fault PAYLOAD if it does not hold their symbols.
    """
    values = np.empty(shape, np.float32)
    rebuild(_symbols(section, shape), scales.prefix_mean, scales.prefix_step, values)
    return values


def _symbols(section: memoryview, shape: tuple[int, int, int]) -> NDArray[np.int16]:
    elements = shape[0] * shape[1] * shape[2]
    if elements == 0:
        if len(section):
            raise FrameError(FrameFault.PAYLOAD, f"prefix section has {len(section)} bytes but no tokens")
        return np.empty(shape, np.int16)
    planes = np.frombuffer(decompress(section, 2 * elements), np.uint8).reshape(2, elements)
    return np.ascontiguousarray(planes.T).view("<i2").reshape(shape)
