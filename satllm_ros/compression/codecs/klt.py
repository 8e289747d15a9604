"""Codec `klt`: what matters to the model's answer, decorrelated over channels and tokens, and range coded.

Channels go through a Karhunen-Loeve transform in the metric in which calibration saw the logits react, patch tokens
through one of their own; a uniform quantizer with a dead zone follows; each coefficient has a static class of spread,
whose integer tables drive the range coder. The inverse transform sums integers, so any decoder gives the same bits.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.codecs.body import Body, output_buffer
from satllm_ros.compression.coding import backend
from satllm_ros.compression.coding.rans import CLASSES, SymbolTables, table_of
from satllm_ros.compression.tables.coefficient_tables import CoefficientTables
from satllm_ros.compression.tables.cut_tables import LEVELS_PER_STEP, TOKEN_UNIT, CutTables
from satllm_ros.compression.wire.errors import FrameError, FrameFault
from satllm_ros.compression.wire.frame import FrameHeader, Sections

# 2^(i / 4), rounded to float32 here and in every other decoder.
_QUARTER_OCTAVES = np.array([1.0, 1.1892071, 1.4142135, 1.6817929], np.float32)
# Encoder only: the part of a step from which on a value is rounded up is 1 less this; 0.5 would be the nearest.
_DEAD_ZONE_ROUNDING = np.float32(0.33)
# Encoder only: values further from the mean than this many times what calibration saw are brought there.
_CLIP_SPREADS = np.float32(2)


@dataclass(frozen=True, eq=False)
class Order:
    """The coefficients of a group of tokens that a step sends, by class, and how each is coded.

    Attributes
    ----------
    rows, columns
        Token coefficients (t,) and channel coefficients (k,) of which anything is sent.
    places
        (n,) indices into the (t, k) grid of those.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    places: NDArray[np.intp]
    classes: NDArray[np.uint8]
    low_bits: NDArray[np.int64]
    limits: NDArray[np.float32]
    shifts: NDArray[np.int64]


def step_scale(step: int) -> np.float32:
    """Step of the quantizer in units of the finest: 2^(step / 4)."""
    return np.float32(_QUARTER_OCTAVES[step % 4] * np.float32(2.0 ** (step // 4)))


@lru_cache(maxsize=64)
def patch_order(tables: CutTables, coefficients: CoefficientTables, step: int) -> Order:
    """What a step sends of an image's patch tokens."""
    return _order(tables.std, coefficients.patch, coefficients.patch_shift, step)


@lru_cache(maxsize=64)
def prefix_order(tables: CutTables, coefficients: CoefficientTables, step: int) -> Order:
    """What a step sends of an image's class and register tokens."""
    return _order(tables.prefix_std, coefficients.prefix, coefficients.prefix_shift, step)


def encode_body(activation: NDArray[np.float32], step: int, tables: CutTables, coefficients: CoefficientTables) -> Body:
    """Code a (N, S, D) float32 activation.

    What is further from the mean than twice what calibration saw is brought there, infinities too; NaN becomes the
    mean; NaN and infinities are counted.
    """
    prefix_tokens = tables.tokens - len(tables.token_transform)
    centered, replaced = _center(activation, tables)
    finer = np.float32(1) / step_scale(step)
    prefix = b""
    if prefix_tokens:
        order = prefix_order(tables, coefficients, step)
        values = centered[:, order.rows] @ _matrix(tables.prefix_forward, tables.prefix_forward_scale * finer, order)
        symbols = _symbols(values, order).reshape(1, -1)
        prefix = backend.loops.encode(symbols, np.tile(order.classes, len(activation)), coefficients.prefix)[0]
    order = patch_order(tables, coefficients, step)
    values = centered[:, prefix_tokens:] @ _matrix(tables.forward, tables.forward_scale * finer, order)
    values = np.matmul(tables.token_transform[order.rows].astype(np.float32) / np.float32(TOKEN_UNIT), values)
    return Body(prefix, backend.loops.encode(_symbols(values, order), order.classes, coefficients.patch), replaced)


def decode_body(
    header: FrameHeader,
    sections: Sections,
    tables: CutTables,
    coefficients: CoefficientTables,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Rebuild a (N, S, D) float32 activation.

    Raises
    ------
    FrameError
        With fault PAYLOAD if a section is no stream of as many symbols as it should hold.
    """
    images, prefix_tokens, step = header.shape[0], header.prefix_tokens, header.setting.bits
    order = prefix_order(tables, coefficients, step)
    prefix_symbols = np.empty((images, 0), np.int32)
    if prefix_tokens:
        classes = np.tile(order.classes, images)
        prefix_symbols = backend.loops.decode([sections.prefix], classes, coefficients.prefix).reshape(images, -1)
    elif len(sections.prefix):
        raise FrameError(FrameFault.PAYLOAD, f"prefix section has {len(sections.prefix)} bytes but no tokens")
    patch = patch_order(tables, coefficients, step)
    symbols = backend.loops.decode(sections.chunks, patch.classes, coefficients.patch)
    # What follows is exact in float64 whatever the order of the sums: artefacts keep all of them below 2^53.
    activation = output_buffer(header.shape, out)
    if prefix_tokens:
        # In units of the token transform, which these tokens do not go through.
        sums = np.zeros((images, prefix_tokens, header.shape[2]))
        sums[:, order.rows] = TOKEN_UNIT * (
            _levels(prefix_symbols, order) @ _integers(tables.prefix_inverse[order.columns])
        )
        scale = tables.prefix_inverse_scale * step_scale(step)
        np.multiply(sums.astype(np.float32), scale, out=activation[:, :prefix_tokens])
    sums = np.matmul(_integers(tables.token_transform[patch.rows]).T, _levels(symbols, patch))
    sums = sums @ _integers(tables.inverse[patch.columns])
    np.multiply(sums.astype(np.float32), tables.inverse_scale * step_scale(step), out=activation[:, prefix_tokens:])
    activation += tables.token_mean.astype(np.float32)
    return activation


def _order(std: NDArray[np.integer[Any]], tables: SymbolTables, shift: NDArray[np.integer[Any]], step: int) -> Order:
    quarter_octaves = std.astype(np.int64) - 1 - step
    sent = quarter_octaves >= 0
    rows, columns = np.flatnonzero(sent.any(axis=1)), np.flatnonzero(sent.any(axis=0))
    grid = np.where(sent, np.minimum(quarter_octaves >> 1, CLASSES - 1), CLASSES)[np.ix_(rows, columns)].reshape(-1)
    # By class, so that the coder stays with one table for long.
    places = np.argsort(grid, kind="stable")[: np.count_nonzero(grid < CLASSES)]
    classes = grid[places].astype(np.uint8)
    table, low_bits = table_of(classes)
    return Order(
        rows,
        columns,
        places,
        classes,
        low_bits,
        tables.limit_of(classes).astype(np.float32),
        np.where(low_bits == 0, shift[table], 0).astype(np.int64),
    )


def _center(activation: NDArray[np.float32], tables: CutTables) -> tuple[NDArray[np.float32], int]:
    centered = activation - tables.token_mean.astype(np.float32)
    replaced = 0
    with np.errstate(invalid="ignore", over="ignore"):
        all_finite = np.isfinite(centered.sum())
    if not all_finite:
        replaced = int(centered.size - np.count_nonzero(np.isfinite(activation)))
        centered[np.isnan(centered)] = 0
    limit = _CLIP_SPREADS * np.concatenate(
        [tables.spread[:-1], np.broadcast_to(tables.spread[-1:], (len(tables.token_transform), centered.shape[2]))]
    )
    return np.clip(centered, -limit, limit, out=centered), replaced


def _matrix(integers: NDArray[np.integer[Any]], scale: NDArray[np.float32], order: Order) -> NDArray[np.float32]:
    return integers[:, order.columns].astype(np.float32) * scale[order.columns]


def _integers(array: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    return array.astype(np.float64)


def quantize(
    values: NDArray[np.float32], low_bits: NDArray[np.int64], limits: NDArray[np.float32] | np.float32
) -> NDArray[np.int32]:
    """Symbols, int32, of coefficients (N, n) in steps.

    Values that round to 0 or to a small number are rounded towards 0 a little more than up: rate is saved for hardly
    any error. Classes with low bits are rounded to the nearest.
    """
    rounding = np.where(low_bits == 0, _DEAD_ZONE_ROUNDING, np.float32(0.5)).astype(np.float32)
    magnitudes = np.minimum(np.floor(np.abs(values) + rounding), limits)
    symbols: NDArray[np.int32] = np.copysign(magnitudes, values).astype(np.int32)
    return symbols


def _symbols(values: NDArray[np.float32], order: Order) -> NDArray[np.int32]:
    return quantize(values.reshape(len(values), -1)[:, order.places], order.low_bits, order.limits)


def _levels(symbols: NDArray[np.int32], order: Order) -> NDArray[np.float64]:
    """Reconstruction points (N, t, k), whole numbers of sixteenths of a step, as float64."""
    grid = order.rows.size * order.columns.size
    levels = np.zeros((len(symbols), grid))
    magnitudes = np.abs(symbols.astype(np.int64)) * LEVELS_PER_STEP - order.shifts
    levels[:, order.places] = np.sign(symbols) * magnitudes
    return levels.reshape(len(symbols), order.rows.size, order.columns.size)
