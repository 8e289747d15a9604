"""Range coder (rANS) with static integer tables: one state of 32 bits, renormalized by 16-bit words.

Every symbol has a *class*, known to both ends beforehand; each class has a table of frequencies. This is the plain
path: it walks along the symbols and does all streams of a frame at once. `native` walks faster and writes the same
bytes; `backend` says which of them does.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.wire.errors import ArtefactError, FrameError, FrameFault

SCALE_BITS = 14
# The digit of a symbol is -LARGEST_DIGIT .. LARGEST_DIGIT.
LARGEST_DIGIT = 63
DIGITS = 2 * LARGEST_DIGIT + 1
# Classes with a table of their own; above them a symbol is a digit and low bits that are as good as random.
TABLE_CLASSES = 12
CLASSES = 32
_SCALE = 1 << SCALE_BITS
_LEAST_STATE = 1 << 16
STATE_BYTES = 4


def table_of(classes: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Table and number of low bits of each class.

    A class is half an octave of spread. Class 12 has the shape of class 10 at twice the spread: it uses its table and
    one low bit; class 13 that of class 11; class 14 has two low bits, and so on.
    """
    classes = classes.astype(np.int64)
    table = np.where(classes < TABLE_CLASSES, classes, TABLE_CLASSES - 2 + (classes & 1))
    return table, (classes - table) >> 1


@dataclass(frozen=True, eq=False)
class SymbolTables:
    """Frequencies of the digits, uint16 (TABLE_CLASSES, DIGITS); each row adds up to 2^14.

    A frequency of 0 means that the digit cannot be coded; those that can are -n .. n for some n of the row.

    Raises
    ------
    ArtefactError
        If they do not.
    """

    frequencies: NDArray[np.uint16]
    starts: NDArray[np.uint16] = field(init=False)
    limits: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        frequencies = np.array(self.frequencies, dtype="<u2", order="C", copy=True)
        if frequencies.shape != (TABLE_CLASSES, DIGITS):
            raise ArtefactError(f"symbol tables have shape {frequencies.shape}, must be ({TABLE_CLASSES}, {DIGITS})")
        sums = frequencies.sum(axis=1, dtype=np.int64)
        if (sums != _SCALE).any():
            raise ArtefactError(
                f"a row of the symbol tables adds up to {int(sums[sums != _SCALE][0])}, not to {_SCALE}"
            )
        possible = frequencies > 0
        limits = possible[:, LARGEST_DIGIT + 1 :].sum(axis=1)
        digits = np.abs(np.arange(-LARGEST_DIGIT, LARGEST_DIGIT + 1))
        if (possible != (digits <= limits[:, None])).any():
            raise ArtefactError(
                "a row of the symbol tables has a gap, or more digits on one side of 0 than on the other"
            )
        starts = np.zeros((TABLE_CLASSES, DIGITS + 1), "<u2")
        starts[:, 1:] = np.cumsum(frequencies, axis=1)
        for name, array in (("frequencies", frequencies), ("starts", starts[:, :-1].copy()), ("limits", limits)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def limit_of(self, classes: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """The largest |symbol| that each class can code, int32."""
        table, low_bits = table_of(classes)
        return (self.limits[table] << low_bits).astype(np.int32)


def encode(symbols: NDArray[np.int32], classes: NDArray[np.uint8], tables: SymbolTables) -> list[bytes]:
    """Code each row of symbols as a stream of its own.

    Parameters
    ----------
    symbols : ndarray int32 (N, n)
        Within `limit_of` their classes.
    classes : ndarray uint8 (n,)
    """
    streams = len(symbols)
    table, low_bits = table_of(classes)
    digits = (symbols + _half(low_bits)) >> low_bits
    lows = symbols + _half(low_bits) - (digits << low_bits)
    column = digits + LARGEST_DIGIT
    frequency = tables.frequencies[table, column].astype(np.uint64)
    start = tables.starts[table, column].astype(np.uint64)
    state: NDArray[np.uint64] = np.full(streams, _LEAST_STATE, np.uint64)
    words = np.empty((streams, 2 * symbols.shape[1]), np.uint16)
    filled = np.zeros(streams, np.int64)
    rows = np.arange(streams)
    scale_bits = np.uint64(SCALE_BITS)

    def push(state: NDArray[np.uint64], frequency: NDArray[np.uint64], start: NDArray[np.uint64]) -> NDArray[np.uint64]:
        full = state >= frequency << np.uint64(32 - SCALE_BITS)
        words[rows[full], filled[full]] = state[full] & np.uint64(0xFFFF)
        filled[full] += 1
        state = np.where(full, state >> np.uint64(16), state)
        return ((state // frequency) << scale_bits) + state % frequency + start

    # From the last symbol to the first: a decoder meets them the other way round.
    for position in reversed(range(symbols.shape[1])):
        if low_bits[position]:
            width = np.uint64(SCALE_BITS - low_bits[position])
            low = lows[:, position].astype(np.uint64)
            state = push(state, np.full(streams, 1, np.uint64) << width, low << width)
        state = push(state, frequency[:, position], start[:, position])
    ends = [words[row, : filled[row]][::-1].astype("<u2").tobytes() for row in range(streams)]
    return [final.tobytes() + end for final, end in zip(state.astype("<u4"), ends, strict=True)]


def decode(sections: list[memoryview], classes: NDArray[np.uint8], tables: SymbolTables) -> NDArray[np.int32]:
    """Symbols, int32 (N, n), of streams that hold nothing else.

    Raises
    ------
    FrameError
        With fault PAYLOAD if a stream ends early or late, or its state does not return to where the encoder began.
    """
    for section in sections:
        if len(section) < STATE_BYTES or len(section) % 2:
            raise FrameError(FrameFault.PAYLOAD, f"{len(section)} bytes are no stream of symbols")
    streams = len(sections)
    table, low_bits = table_of(classes)
    length = np.array([(len(section) - STATE_BYTES) // 2 for section in sections])
    words = np.zeros((streams, int(length.max(initial=0)) + 1), np.uint64)
    for row, section in enumerate(sections):
        words[row, : length[row]] = np.frombuffer(section[STATE_BYTES:], "<u2")
    state = np.array([int.from_bytes(section[:STATE_BYTES], "little") for section in sections], np.uint64)
    taken: NDArray[np.int64] = np.zeros(streams, np.int64)
    symbols = np.empty((streams, len(classes)), np.int32)
    rows = np.arange(streams)
    scale_bits, mask = np.uint64(SCALE_BITS), np.uint64(_SCALE - 1)

    def pull(state: NDArray[np.uint64], frequency: NDArray[np.uint64], start: NDArray[np.uint64]) -> NDArray[np.uint64]:
        nonlocal taken
        state = frequency * (state >> scale_bits) + (state & mask) - start
        low = state < _LEAST_STATE
        if (low & (taken >= length)).any():
            raise FrameError(FrameFault.PAYLOAD, "a stream of symbols ends before its last symbol")
        state = np.where(low, state << np.uint64(16) | words[rows, np.minimum(taken, length)], state)
        taken = taken + low
        return state

    for position in range(len(classes)):
        row = tables.starts[table[position]]
        first = LARGEST_DIGIT - tables.limits[table[position]]
        last = LARGEST_DIGIT + tables.limits[table[position]]
        column = np.searchsorted(row[first : last + 1], (state & mask).astype(row.dtype), side="right") - 1 + first
        symbol = column.astype(np.int64) - LARGEST_DIGIT
        frequencies = tables.frequencies[table[position]]
        state = pull(state, frequencies[column].astype(np.uint64), row[column].astype(np.uint64))
        bits = int(low_bits[position])
        if bits:
            width = np.uint64(SCALE_BITS - bits)
            low = (state & mask) >> width
            state = pull(state, np.full(streams, 1, np.uint64) << width, low << width)
            symbol = (symbol << bits) + low.astype(np.int64) - _half(bits)
        symbols[:, position] = symbol
    if (taken != length).any() or (state != _LEAST_STATE).any():
        raise FrameError(FrameFault.PAYLOAD, "a stream of symbols does not end where its encoder began")
    return symbols


def _half(low_bits: NDArray[np.int64] | int) -> NDArray[np.int64] | int:
    return (1 << low_bits) >> 1
