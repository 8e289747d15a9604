"""Codecs `topk` and `randtopk`: the largest elements of each image, and a bitmap that says which they are.

Baselines: what they send changes from image to image, so its places must be sent too, a bit an element.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.codecs.body import Body, output_buffer
from satllm_ros.compression.codecs.prefix import decode_prefix, encode_prefix
from satllm_ros.compression.coding import signed_magnitude as paper
from satllm_ros.compression.coding.entropy import compress, decompress
from satllm_ros.compression.tables.scales import CutScales
from satllm_ros.compression.wire.errors import FrameError, FrameFault
from satllm_ros.compression.wire.frame import FrameHeader, Sections
from satllm_ros.compression.wire.setting import Codec, CodecSetting

# Randomized top-k gives this share of the places to elements that are not among the largest.
RANDOM_SHARE = 0.1
_BITMAP_BYTES = struct.Struct("<I")


def encode_body(activation: NDArray[np.float32], setting: CodecSetting, scales: CutScales) -> Body:
    """Code a (N, S, D) float32 activation; NaN counts as 0, infinities as 1e38.

    Of equal elements the earlier ones are taken. `randtopk` draws from a generator seeded by the image itself, so
    that equal images give equal frames.
    """
    prefix_tokens = len(scales.prefix_mean)
    prefix, replaced = encode_prefix(activation[:, :prefix_tokens], scales)
    chunks = []
    for image in activation[:, prefix_tokens:]:
        values, lost = paper.bounded(image.reshape(-1))
        replaced += lost
        chosen = _choose(values, setting)
        survivors = values[chosen]
        low, high = paper.find_range(survivors)
        bitmap = compress(np.packbits(chosen, bitorder="little").data)
        symbols = compress(paper.quantize(survivors, low, high, setting.bits).data) if survivors.size else b""
        chunks.append(paper.pack_range(low, high) + _BITMAP_BYTES.pack(len(bitmap)) + bitmap + symbols)
    return Body(prefix, chunks, replaced)


def decode_body(
    header: FrameHeader, sections: Sections, scales: CutScales, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Rebuild a (N, S, D) float32 activation, 0 where nothing was sent.

    Raises
    ------
    FrameError
        With fault PAYLOAD or NOT_FINITE if a section does not hold what the header declares.
    """
    images, tokens, width = header.shape
    prefix_tokens = header.prefix_tokens
    prefix = decode_prefix(sections.prefix, (images, prefix_tokens, width), scales)
    elements = (tokens - prefix_tokens) * width
    decoded = [_decode_chunk(chunk, elements, header.setting) for chunk in sections.chunks]
    activation = output_buffer(header.shape, out)
    activation[:, prefix_tokens:] = 0
    activation[:, :prefix_tokens] = prefix
    for image, (chosen, values) in enumerate(decoded):
        activation[image, prefix_tokens:].reshape(-1)[chosen] = values
    return activation


def _choose(values: NDArray[np.float32], setting: CodecSetting) -> NDArray[np.bool_]:
    kept = setting.kept(values.size)
    order = np.argsort(-np.abs(values), kind="stable")
    chosen = np.zeros(values.size, bool)
    if setting.codec is Codec.RANDTOPK:
        generator = np.random.default_rng(zlib.crc32(np.ascontiguousarray(values).data))
        strangers = min(int(generator.binomial(kept, RANDOM_SHARE)), values.size - kept)
        chosen[generator.choice(order[kept:], strangers, replace=False)] = True
        chosen[generator.choice(order[:kept], kept - strangers, replace=False)] = True
    else:
        chosen[order[:kept]] = True
    return chosen


def _decode_chunk(
    chunk: memoryview, elements: int, setting: CodecSetting
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    low, high = paper.unpack_range(chunk)
    start = paper.RANGE_BYTES + _BITMAP_BYTES.size
    if len(chunk) < start:
        raise FrameError(FrameFault.PAYLOAD, f"a chunk of {len(chunk)} bytes has no room for a bitmap")
    stop = start + _BITMAP_BYTES.unpack_from(chunk, paper.RANGE_BYTES)[0]
    if stop > len(chunk):
        raise FrameError(FrameFault.PAYLOAD, f"a bitmap of {stop - start} bytes exceeds its chunk of {len(chunk)}")
    bitmap = np.frombuffer(decompress(chunk[start:stop], -(-elements // 8)), np.uint8)
    bits = np.unpackbits(bitmap, bitorder="little")
    chosen, rest = bits[:elements].view(bool), bits[elements:]
    kept = setting.kept(elements)
    if rest.any() or np.count_nonzero(chosen) != kept:
        raise FrameError(FrameFault.PAYLOAD, f"a bitmap marks {np.count_nonzero(bits)} elements, sent are {kept}")
    symbols = decompress_symbols(chunk[stop:], kept, setting.bits)
    return chosen, paper.rebuild(symbols, low, high, setting.bits)


def decompress_symbols(section: memoryview, count: int, bits: int) -> NDArray[np.uint8]:
    """The symbols (uint8) of one chunk; no bytes at all if there are none.

    Raises
    ------
    FrameError
        With fault PAYLOAD.
    """
    if count == 0:
        if len(section):
            raise FrameError(FrameFault.PAYLOAD, f"a chunk has {len(section)} bytes of symbols but sends no element")
        return np.empty(0, np.uint8)
    symbols = np.frombuffer(decompress(section, count), np.uint8)
    paper.check_symbols(symbols, bits)
    return symbols
