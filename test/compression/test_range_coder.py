"""The range coder: symbols come back, streams are near their bound and both paths of code write the same."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from satllm_ros.compression.calibration.digit_counts import DigitCounts
from satllm_ros.compression.coding import backend, rans
from satllm_ros.compression.coding.rans import CLASSES, DIGITS, LARGEST_DIGIT, TABLE_CLASSES, SymbolTables
from satllm_ros.compression.wire.errors import ArtefactError, FrameError, FrameFault

TABLES = SymbolTables(DigitCounts().frequencies())


def draw(generator: np.random.Generator, streams: int, count: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Symbols of all classes, Laplacian as the tables believe, some at the very limit."""
    classes = np.sort(generator.integers(0, CLASSES, count)).astype(np.uint8)
    limit = TABLES.limit_of(classes)
    spread = 2.0 ** ((classes - 4.5) / 2)
    symbols = np.rint(generator.laplace(0, 1, (streams, count)) * spread / np.sqrt(2))
    symbols = np.where(generator.random((streams, count)) < 0.01, limit * generator.choice([-1, 1]), symbols)
    return np.clip(symbols, -limit, limit).astype(np.int32), classes


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), streams=st.integers(1, 5), count=st.integers(0, 300))
def test_symbols_come_back(path_of_code: str, seed: int, streams: int, count: int) -> None:
    symbols, classes = draw(np.random.default_rng(seed), streams, count)
    coded = backend.loops.encode(symbols, classes, TABLES)
    assert coded == rans.encode(symbols, classes, TABLES)
    found = backend.loops.decode([memoryview(stream) for stream in coded], classes, TABLES)
    np.testing.assert_array_equal(found, symbols)


def test_a_stream_is_within_a_few_bytes_of_its_bound(path_of_code: str) -> None:
    symbols, classes = draw(np.random.default_rng(0), 1, 20_000)
    table, low_bits = rans.table_of(classes)
    digits = symbols + ((1 << low_bits) >> 1) >> low_bits
    bits = rans.SCALE_BITS - np.log2(TABLES.frequencies[table, digits + LARGEST_DIGIT]) + low_bits
    size = len(backend.loops.encode(symbols, classes, TABLES)[0])
    assert bits.sum() / 8 <= size <= 1.0005 * bits.sum() / 8 + 4


def test_streams_that_do_not_end_right_are_refused(path_of_code: str) -> None:
    symbols, classes = draw(np.random.default_rng(1), 1, 500)
    stream = backend.loops.encode(symbols, classes, TABLES)[0]
    bad = [b"", stream[:3], stream[:-1], stream[:-2], stream + b"\0\0", stream[:4], b"\1" + stream[1:]]
    for damaged in bad:
        with pytest.raises(FrameError) as caught:
            backend.loops.decode([memoryview(damaged)], classes, TABLES)
        assert caught.value.fault is FrameFault.PAYLOAD
    with pytest.raises(FrameError):
        backend.loops.decode([memoryview(stream)], classes[:-1], TABLES)


def test_no_symbols_are_a_state_and_nothing_else(path_of_code: str) -> None:
    coded = backend.loops.encode(np.empty((2, 0), np.int32), np.empty(0, np.uint8), TABLES)
    assert coded == [b"\0\0\1\0", b"\0\0\1\0"]


def test_a_class_that_never_changes_costs_nothing(path_of_code: str) -> None:
    frequencies = np.array(TABLES.frequencies)
    frequencies[0] = 0
    frequencies[0, LARGEST_DIGIT] = 1 << 14
    tables = SymbolTables(frequencies)
    classes = np.zeros(1000, np.uint8)
    coded = backend.loops.encode(np.zeros((1, 1000), np.int32), classes, tables)
    assert len(coded[0]) == 4
    assert not backend.loops.decode([memoryview(coded[0])], classes, tables).any()


def test_tables_with_a_gap_or_of_one_side_are_refused() -> None:
    for changed in (LARGEST_DIGIT + 1, LARGEST_DIGIT - int(TABLES.limits[11])):
        frequencies = np.array(TABLES.frequencies, np.int64)
        frequencies[11, LARGEST_DIGIT] += frequencies[11, changed]
        frequencies[11, changed] = 0
        with pytest.raises(ArtefactError, match="a gap, or more digits on one side"):
            SymbolTables(frequencies)


def test_counted_tables_follow_what_was_counted() -> None:
    generator = np.random.default_rng(2)
    values = generator.laplace(0, 2, (100, 50))
    digits = np.copysign(np.floor(np.abs(values) + 0.33), values).astype(np.int32)
    counts = DigitCounts()
    counts.add(values, digits, np.full(50, 7))
    frequencies = counts.frequencies()
    assert frequencies.shape == (TABLE_CLASSES, DIGITS)
    share = (digits == 0).mean()
    assert frequencies[7, LARGEST_DIGIT] / 2**14 == pytest.approx(share, rel=0.03)
    # Values lie below their symbols on average: they are rounded towards 0.
    nonzero = digits != 0
    excess = (np.abs(digits) - np.abs(values))[nonzero].mean()
    assert counts.shifts()[7] == np.clip(np.rint(16 * excess), 0, 15)
    assert set(counts.shifts()[:7]) == {0}
