"""The paper's quantizer (Eq. 6), as a format that can be decoded: magnitude and sign apart.

As printed, q carries the sign and the decoder applies the sign again, and a q of 0 loses it. Here a symbol is
`magnitude << 1 | sign`, so b bits hold 2^(b-1) magnitudes and a sign, +0 and -0 both.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.wire.errors import FrameError, FrameFault

# Leaves room in float32 for the roundings of a rebuilt value.
LARGEST = np.float32(1e38)
_RANGE = struct.Struct("<ff")
RANGE_BYTES = _RANGE.size


def largest_magnitude(bits: int) -> int:
    """The largest magnitude of b bits, `2^(b-1) - 1`."""
    return (1 << bits - 1) - 1


def bounded(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """Values between -1e38 and 1e38, infinities too, NaN as 0; and how many NaN and infinities there were."""
    finite = np.isfinite(values)
    lost = int(finite.size - np.count_nonzero(finite))
    if lost:
        values = np.where(np.isnan(values), np.float32(0), values)
    return np.clip(values, -LARGEST, LARGEST), lost


def find_range(values: NDArray[np.float32]) -> tuple[np.float32, np.float32]:
    """Least and largest |x| of `bounded` values; (0, 0) if there are none."""
    if values.size == 0:
        return np.float32(0), np.float32(0)
    magnitudes = np.abs(values)
    return magnitudes.min(), magnitudes.max()


def quantize(values: NDArray[np.float32], low: np.float32, high: np.float32, bits: int) -> NDArray[np.uint8]:
    """Symbols (uint8) of `bounded` values with magnitudes in [low, high]; a range without width gives magnitude 0."""
    step = _step(low, high, bits)
    negative = np.signbit(values)
    magnitudes = np.abs(values)
    if step > 0:
        magnitudes = np.floor((magnitudes - low) / step + np.float32(0.5))
        np.clip(magnitudes, 0, largest_magnitude(bits), out=magnitudes)
    else:
        magnitudes = np.zeros_like(magnitudes)
    symbols: NDArray[np.uint8] = magnitudes.astype(np.uint8) << 1 | negative
    return symbols


def rebuild(symbols: NDArray[np.uint8], low: np.float32, high: np.float32, bits: int) -> NDArray[np.float32]:
    """Values `±(low + magnitude * step)`, product and sum each rounded to float32."""
    magnitudes = np.arange(largest_magnitude(bits) + 1, dtype=np.float32)
    table: NDArray[np.float32] = magnitudes * _step(low, high, bits) + low
    return np.stack([table, -table], axis=1).reshape(-1)[symbols]


def pack_range(low: np.float32, high: np.float32) -> bytes:
    """The range as a chunk carries it."""
    return _RANGE.pack(low, high)


def unpack_range(chunk: memoryview) -> tuple[np.float32, np.float32]:
    """The range at the start of a chunk.

    Raises
    ------
    FrameError
        With fault PAYLOAD if the chunk is too short, NOT_FINITE if the range is not 0 <= low <= high <= 1e38.
    """
    if len(chunk) < RANGE_BYTES:
        raise FrameError(FrameFault.PAYLOAD, f"a chunk of {len(chunk)} bytes has no room for its range")
    low, high = _RANGE.unpack_from(chunk)
    if not 0.0 <= low <= high <= LARGEST:
        raise FrameError(FrameFault.NOT_FINITE, f"a chunk has the range {low} to {high}")
    return np.float32(low), np.float32(high)


def check_symbols(symbols: NDArray[np.uint8], bits: int) -> None:
    """Refuse, with fault PAYLOAD, symbols that need more than `bits` bits."""
    if bits < 8 and symbols.size and int(symbols.max()) >> bits:
        raise FrameError(FrameFault.PAYLOAD, f"a chunk holds the symbol {int(symbols.max())}, of more than {bits} bits")


def _step(low: np.float32, high: np.float32, bits: int) -> np.float32:
    return np.float32(np.float32(high - low) / np.float32(largest_magnitude(bits)))
