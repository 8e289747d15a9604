"""Every cause of rejection, by the smallest forgery that meets it."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zstandard
from made_models import ArtefactsMaker

from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.errors import FrameError, FrameFault
from satllm_ros.compression.wire.frame import HEADER_BYTES
from satllm_ros.compression.wire.setting import Codec, CodecSetting

LARGE = 10**6
CHUNKS_START = HEADER_BYTES + 4 * 2


def reseal(frame: bytearray) -> bytes:
    """Give a changed frame the length and CRC-32 of an honest one."""
    struct.pack_into("<I", frame, 44, len(frame))
    struct.pack_into("<I", frame, len(frame) - 4, zlib.crc32(frame[:-4]))
    return bytes(frame)


def forged(frame: bytes, offset: int, layout: str, *values: object) -> bytes:
    """The frame with one field overwritten, resealed."""
    changed = bytearray(frame)
    struct.pack_into("<" + layout, changed, offset, *values)
    return reseal(changed)


def with_sections(frame: bytes, prefix: bytes, chunks: list[bytes]) -> bytes:
    """The frame with other sections, resealed."""
    changed = bytearray(frame[:HEADER_BYTES])
    struct.pack_into("<I", changed, 48, len(prefix))
    changed += struct.pack(f"<{len(chunks)}I", *map(len, chunks)) + prefix + b"".join(chunks) + bytes(4)
    return reseal(changed)


def fault_of(frame: bytes, artefacts: Artefacts, max_elements: int = LARGE) -> FrameFault:
    with pytest.raises(FrameError) as caught:
        decode(frame, artefacts, max_elements=max_elements)
    assert str(caught.value)
    return caught.value.fault


@pytest.fixture(scope="module")
def int8_frame(artefacts: Artefacts) -> bytes:
    activation = np.random.default_rng(0).normal(0, 3, (2, 5, 8)).astype(np.float32)
    return encode(activation, CodecSetting(Codec.INT8), artefacts, 2)


@pytest.fixture(scope="module")
def raw_frame(artefacts: Artefacts) -> bytes:
    return encode(np.ones((2, 5, 8), np.float32), CodecSetting(Codec.RAW), artefacts, 2)


FORGED_FIELDS = [
    (0, "4s", (b"SLLN",), FrameFault.MAGIC),
    (4, "B", (2,), FrameFault.VERSION),
    (5, "B", (200,), FrameFault.CODEC),
    (5, "B", (0,), FrameFault.SETTING),
    (6, "B", (1,), FrameFault.DTYPE),
    (7, "B", (7,), FrameFault.SETTING),
    (7, "B", (32,), FrameFault.SETTING),
    (8, "H", (1,), FrameFault.FLAGS),
    (10, "H", (0,), FrameFault.CUT),
    (10, "H", (9,), FrameFault.CUT),
    (12, "I", (0,), FrameFault.SHAPE),
    (12, "I", (3,), FrameFault.SECTIONS),
    (12, "I", (1000,), FrameFault.SECTIONS),
    (12, "I", (2**32 - 1,), FrameFault.TOO_LARGE),
    (12, "III", (2**31, 2**31, 4), FrameFault.TOO_LARGE),
    (16, "I", (1,), FrameFault.SHAPE),
    (16, "I", (6,), FrameFault.PAYLOAD),
    (20, "I", (0,), FrameFault.SHAPE),
    (20, "I", (9,), FrameFault.SHAPE),
    (24, "f", (np.nan,), FrameFault.SETTING),
    (24, "f", (0.5,), FrameFault.SETTING),
    (28, "8s", (bytes(8),), FrameFault.ARTEFACT),
    (36, "H", (2,), FrameFault.SHAPE),
    (38, "H", (1,), FrameFault.FLAGS),
    (48, "I", (2**32 - 1,), FrameFault.SECTIONS),
    (48, "I", (0,), FrameFault.SECTIONS),
    (52, "I", (2**32 - 1,), FrameFault.SECTIONS),
    (52, "II", (0, 0), FrameFault.SECTIONS),
]


@pytest.mark.parametrize(("offset", "layout", "values", "fault"), FORGED_FIELDS)
def test_a_forged_field_is_named(
    artefacts: Artefacts, int8_frame: bytes, offset: int, layout: str, values: tuple[object, ...], fault: FrameFault
) -> None:
    assert fault_of(forged(int8_frame, offset, layout, *values), artefacts) is fault


def test_a_damaged_byte_anywhere_is_found(artefacts: Artefacts, int8_frame: bytes) -> None:
    for position in range(len(int8_frame)):
        damaged = bytearray(int8_frame)
        damaged[position] ^= 0x10
        fault = fault_of(bytes(damaged), artefacts)
        if position >= 48 or 5 <= position < 44:
            assert fault is FrameFault.CHECKSUM


@pytest.mark.parametrize("change", [lambda f: b"", lambda f: f[:55], lambda f: f[:-1], lambda f: f + b"\0"])
def test_a_frame_of_another_length_is_found(
    artefacts: Artefacts, int8_frame: bytes, change: Callable[[bytes], bytes]
) -> None:
    assert fault_of(change(int8_frame), artefacts) is FrameFault.LENGTH


def test_the_limit_of_elements_is_inclusive(artefacts: Artefacts, int8_frame: bytes) -> None:
    assert decode(int8_frame, artefacts, max_elements=80).activation.size == 80
    assert fault_of(int8_frame, artefacts, max_elements=79) is FrameFault.TOO_LARGE


def test_frames_of_other_artefacts_are_refused_with_both_ids(
    artefacts: Artefacts, artefacts_maker: ArtefactsMaker, int8_frame: bytes
) -> None:
    other = artefacts_maker(seed=1)
    with pytest.raises(FrameError, match=f"{artefacts.artefact_id}.*{other.artefact_id}") as caught:
        decode(int8_frame, other, max_elements=LARGE)
    assert caught.value.fault is FrameFault.ARTEFACT


def zstd(content: bytes, **options: Any) -> bytes:
    return zstandard.ZstdCompressor(level=1, **options).compress(content)


def lying_zstd(declared_bytes: int, true_bytes: int) -> bytes:
    """A zstd frame of `true_bytes` zeros that declares another size: one segment, RLE blocks."""
    blocks = b""
    while true_bytes:
        size = min(true_bytes, 1 << 17)
        true_bytes -= size
        blocks += struct.pack("<I", size << 3 | 1 << 1 | (true_bytes == 0))[:3] + b"\0"
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", declared_bytes) + blocks


def windowed_zstd(content: bytes, window_log: int) -> bytes:
    """A zstd frame that holds `content` in one raw block but asks for a window of 2**window_log bytes."""
    header = b"\x28\xb5\x2f\xfd\x80" + bytes([(window_log - 10) << 3]) + struct.pack("<I", len(content))
    return header + struct.pack("<I", len(content) << 3 | 1)[:3] + content


BAD_CHUNKS = {
    "empty": b"",
    "noise": b"\x17" * 40,
    "too short": zstd(bytes(31)),
    "too long": zstd(bytes(33)),
    "declares 4 GiB": lying_zstd(2**32 - 1, 32),
    "declares 32, holds 4 GiB": lying_zstd(32, 2**32),
    "declares 32, holds 31": lying_zstd(32, 31),
    "size unknown": zstd(bytes(32), write_content_size=False),
    "two frames": zstd(bytes(16)) + zstd(bytes(16)),
    "frame and a tail": zstd(bytes(32)) + b"\0",
    "a skippable frame": struct.pack("<II", 0x184D2A50, 32) + bytes(32),
    "a window of 2 GiB": windowed_zstd(bytes(32), 31),
    "a window of 2 MiB": windowed_zstd(bytes(32), 21),
    "half a frame": zstd(bytes(range(32)))[:-8],
    "a dictionary": b"\x28\xb5\x2f\xfd\x21\x07\x20" + struct.pack("<I", 32 << 3 | 1)[:3] + bytes(32),
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_sections_that_lie_are_refused_in_little_memory(artefacts: Artefacts, int8_frame: bytes, name: str) -> None:
    prefix = int8_frame[CHUNKS_START : CHUNKS_START + struct.unpack_from("<I", int8_frame, 48)[0]]
    good = zstd(bytes(32))
    assert decode(with_sections(int8_frame, prefix, [good, good]), artefacts, max_elements=LARGE)
    bad_chunk = with_sections(int8_frame, prefix, [good, BAD_CHUNKS[name]])
    # The prefix section of this frame holds 32 bytes too: 2 images, 1 token, 8 channels, 2 bytes.
    bad_prefix = with_sections(int8_frame, BAD_CHUNKS[name], [good, good])
    tracemalloc.start()
    try:
        assert fault_of(bad_chunk, artefacts) is FrameFault.PAYLOAD
        assert fault_of(bad_prefix, artefacts) is FrameFault.PAYLOAD
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_window_within_bounds_is_read(artefacts: Artefacts, int8_frame: bytes) -> None:
    chunk = windowed_zstd(bytes(32), 20)
    frame = with_sections(int8_frame, zstd(bytes(32)), [chunk, chunk])
    assert decode(frame, artefacts, max_elements=LARGE).activation.shape == (2, 5, 8)


def test_a_prefix_section_where_there_are_no_prefix_tokens_is_refused(
    artefacts_maker: ArtefactsMaker,
) -> None:
    artefacts = artefacts_maker(prefix_tokens=0)
    frame = encode(np.ones((2, 4, 8), np.float32), CodecSetting(Codec.INT8), artefacts, 2)
    good = zstd(bytes(32))
    assert decode(with_sections(frame, b"", [good, good]), artefacts, max_elements=LARGE)
    assert fault_of(with_sections(frame, zstd(b""), [good, good]), artefacts) is FrameFault.PAYLOAD


def test_raw_sections_of_a_wrong_size_are_refused(artefacts: Artefacts, raw_frame: bytes) -> None:
    prefix, chunk = bytes(64), bytes(128)
    assert decode(with_sections(raw_frame, prefix, [chunk, chunk]), artefacts, max_elements=LARGE)
    assert fault_of(with_sections(raw_frame, prefix, [chunk[:-4], chunk]), artefacts) is FrameFault.PAYLOAD
    assert fault_of(with_sections(raw_frame, prefix[:-4], [chunk, chunk]), artefacts) is FrameFault.PAYLOAD


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("offset", [CHUNKS_START, CHUNKS_START + 64 + 128])
def test_raw_values_that_are_not_finite_are_refused(
    artefacts: Artefacts, raw_frame: bytes, value: float, offset: int
) -> None:
    assert fault_of(forged(raw_frame, offset, "f", value), artefacts) is FrameFault.NOT_FINITE


def test_any_symbol_stands_for_something_finite(artefacts: Artefacts, int8_frame: bytes) -> None:
    symbols = zstd(b"\x80" * 32)
    frame = with_sections(int8_frame, zstd(bytes(16) + b"\x80" * 16), [symbols, symbols])
    assert np.isfinite(decode(frame, artefacts, max_elements=LARGE).activation).all()


def test_every_fault_is_met_in_this_file() -> None:
    met = {fault for *_, fault in FORGED_FIELDS}
    met |= {FrameFault.CHECKSUM, FrameFault.LENGTH, FrameFault.PAYLOAD, FrameFault.NOT_FINITE}
    assert met == set(FrameFault)


@pytest.mark.parametrize("shape", [(2**31, 2, 8), (1, 2**31, 8), (10**5, 2, 8), (1, 10**5, 8)])
def test_a_forged_shape_costs_no_memory(artefacts: Artefacts, int8_frame: bytes, shape: tuple[int, ...]) -> None:
    frame = forged(int8_frame, 12, "III", *shape)
    tracemalloc.start()
    try:
        fault_of(frame, artefacts, max_elements=10**7)
        assert tracemalloc.get_traced_memory()[1] < 1 << 17
    finally:
        tracemalloc.stop()
