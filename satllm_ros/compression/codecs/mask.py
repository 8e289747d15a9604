"""Codecs `mask` and `mask_dynamic`: a static choice of elements, so that their places cost nothing.

`mask` quantizes what differs from the mean, channel by channel, with static ranges. `mask_dynamic` is the paper's
Eq. 6: one range for the batch, found in the batch. Both leave the mean where nothing was sent.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.codecs.body import Body, output_buffer
from satllm_ros.compression.codecs.prefix import decode_prefix, encode_prefix
from satllm_ros.compression.codecs.topk import decompress_symbols
from satllm_ros.compression.coding import backend
from satllm_ros.compression.coding import signed_magnitude as paper
from satllm_ros.compression.coding.entropy import compress
from satllm_ros.compression.coding.mask_choice import MaskChoice
from satllm_ros.compression.tables.cut_tables import CutTables
from satllm_ros.compression.tables.scales import CutScales
from satllm_ros.compression.wire.frame import FrameHeader, Sections
from satllm_ros.compression.wire.setting import Codec, CodecSetting


@lru_cache(maxsize=32)
def choose(tables: CutTables, setting: CodecSetting) -> MaskChoice:
    """The elements that a setting sends, ascending."""
    patches = tables.token_mean[-(tables.mask_order.size // tables.spread.shape[1]) :]
    fill = patches.astype(np.float32)
    places = np.sort(tables.mask_order[: setting.kept(fill.size)])
    largest = paper.largest_magnitude(setting.bits)
    step = (tables.spread[-1] / np.float32(largest)).astype(np.float32)
    inverse_step = np.divide(np.float32(1), step, out=np.zeros_like(step), where=step > 0)
    # An infinite 1 / step would turn a difference of 0 into NaN.
    inverse_step[~np.isfinite(inverse_step)] = 0
    channel = places % fill.shape[1]
    return MaskChoice(places, fill.reshape(-1)[places], step[channel], inverse_step[channel], fill, largest)


def encode_body(activation: NDArray[np.float32], setting: CodecSetting, scales: CutScales, tables: CutTables) -> Body:
    """Code a (N, S, D) float32 activation.

    `mask` codes NaN as the mean and infinities as the largest magnitude of their sign; `mask_dynamic` takes them for
    0 and 1e38. Of patch tokens, only elements that are sent are looked at and counted.
    """
    prefix_tokens = len(scales.prefix_mean)
    prefix, replaced = encode_prefix(activation[:, :prefix_tokens], scales)
    choice = choose(tables, setting)
    images = activation[:, prefix_tokens:]
    if setting.codec is Codec.MASK:
        chunks, lost = _encode_static(images, choice)
    else:
        chunks, lost = _encode_dynamic(images, choice, setting.bits)
    return Body(prefix, chunks, replaced + lost)


def decode_body(
    header: FrameHeader,
    sections: Sections,
    scales: CutScales,
    tables: CutTables,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Rebuild a (N, S, D) float32 activation.

    Raises
    ------
    FrameError
        With fault PAYLOAD or NOT_FINITE if a section does not hold what the header declares.
    """
    images, tokens, width = header.shape
    prefix_tokens, setting = header.prefix_tokens, header.setting
    prefix = decode_prefix(sections.prefix, (images, prefix_tokens, width), scales)
    choice = choose(tables, setting)
    # All sections are decompressed before the activation exists: a forged frame fails while it is small.
    if setting.codec is Codec.MASK:
        symbols = [_symbols(chunk, choice, setting.bits) for chunk in sections.chunks]
        activation = output_buffer(header.shape, out)
        for image, sent in zip(activation[:, prefix_tokens:], symbols, strict=True):
            backend.loops.scatter(sent, choice, image)
    else:
        values = [_dynamic_values(chunk, choice, setting.bits) for chunk in sections.chunks]
        activation = output_buffer(header.shape, out)
        for image, found in zip(activation[:, prefix_tokens:], values, strict=True):
            image[:] = choice.fill
            image.reshape(-1)[choice.places] = found
    activation[:, :prefix_tokens] = prefix
    return activation


def _encode_static(images: NDArray[np.float32], choice: MaskChoice) -> tuple[list[bytes], int]:
    chunks, replaced = [], 0
    symbols = np.empty(choice.places.size, np.uint8)
    for image in images:
        replaced += backend.loops.gather(image, choice, symbols)
        chunks.append(compress(symbols.data) if symbols.size else b"")
    return chunks, replaced


def _symbols(chunk: memoryview, choice: MaskChoice, bits: int) -> NDArray[np.uint8]:
    return decompress_symbols(chunk, choice.places.size, bits)


def _encode_dynamic(images: NDArray[np.float32], choice: MaskChoice, bits: int) -> tuple[list[bytes], int]:
    values, replaced = paper.bounded(images.reshape(len(images), -1)[:, choice.places])
    low, high = paper.find_range(values)
    head = paper.pack_range(low, high)
    symbols = np.ascontiguousarray(paper.quantize(values, low, high, bits))
    return [head + (compress(row.data) if row.size else b"") for row in symbols], replaced


def _dynamic_values(chunk: memoryview, choice: MaskChoice, bits: int) -> NDArray[np.float32]:
    low, high = paper.unpack_range(chunk)
    return paper.rebuild(_symbols(chunk[paper.RANGE_BYTES :], choice, bits), low, high, bits)
