"""What a frame's symbols cost in theory, to be shown beside its real bytes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.codecs.klt import patch_order
from satllm_ros.compression.coding import rans
from satllm_ros.compression.coding import signed_magnitude as paper
from satllm_ros.compression.coding.entropy import decompress
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.frame import FrameHeader, Sections
from satllm_ros.compression.wire.setting import Codec


@dataclass(frozen=True)
class Estimate:
    """Of the patch tokens of one frame.

    Attributes
    ----------
    symbols
        |S|, how many there are.
    eq7_bytes
        |S| H(S) of the paper's Eq. 7: entropy of the frame's own symbols, one table, no side information.
    bound_bytes
        The least that the entropy stage can make of them with the model it has: for `klt` the static tables of the
        classes, for the others Eq. 7.
    stage_bytes
        What the entropy stage made of them: the chunks, without places and ranges.
    """

    symbols: int
    eq7_bytes: float
    bound_bytes: float
    stage_bytes: int


def estimate(header: FrameHeader, sections: Sections, artefacts: Artefacts) -> Estimate | None:
    """Theory and practice of a frame that was decoded without fault; None for `raw` and `fp16`, which code nothing."""
    codec = header.setting.codec
    if codec in (Codec.RAW, Codec.FP16):
        return None
    if codec is Codec.KLT:
        tables = artefacts.tables_of(header.cut)
        coefficients = artefacts.shared_tables()
        order = patch_order(tables, coefficients, header.setting.bits)
        symbols = rans.decode(sections.chunks, order.classes, coefficients.patch)
        bound_bytes = _static_bits(symbols, order.classes, coefficients.patch) / 8
        return Estimate(symbols.size, _entropy_bytes(symbols), bound_bytes, sum(map(len, sections.chunks)))
    elements = (header.shape[1] - header.prefix_tokens) * header.shape[2]
    count = elements if codec is Codec.INT8 else header.setting.kept(elements)
    coded = [_coded(codec, chunk) for chunk in sections.chunks]
    symbols = np.frombuffer(b"".join(decompress(c, count) for c in coded if len(c)), np.uint8)
    eq7_bytes = _entropy_bytes(symbols)
    return Estimate(symbols.size, eq7_bytes, eq7_bytes, sum(map(len, coded)))


def _coded(codec: Codec, chunk: memoryview) -> memoryview:
    """The zstd frame of the symbols in a chunk."""
    if codec is Codec.MASK_DYNAMIC:
        return chunk[paper.RANGE_BYTES :]
    if codec in (Codec.TOPK, Codec.RANDTOPK):
        bitmap_bytes = int.from_bytes(chunk[paper.RANGE_BYTES : paper.RANGE_BYTES + 4], "little")
        return chunk[paper.RANGE_BYTES + 4 + bitmap_bytes :]
    return chunk


def _entropy_bytes(symbols: NDArray[np.integer[Any]]) -> float:
    _, counts = np.unique(symbols, return_counts=True)
    return float(-(counts * np.log2(counts / max(1, symbols.size))).sum() / 8)


def _static_bits(symbols: NDArray[np.int32], classes: NDArray[np.uint8], tables: rans.SymbolTables) -> float:
    table, low_bits = rans.table_of(classes)
    digits = symbols + ((1 << low_bits) >> 1) >> low_bits
    frequencies = tables.frequencies[table, digits + rans.LARGEST_DIGIT]
    return float((rans.SCALE_BITS - np.log2(frequencies) + low_bits).sum())
