"""2,000 corrupted frames, half of them resealed: each is rejected by cause or decodes to harmless values."""

import struct
import tracemalloc
import zlib
from collections import Counter

import numpy as np
import zstandard

from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.errors import FrameError, FrameFault
from satllm_ros.compression.frame import HEADER_BYTES
from satllm_ros.compression.setting import Codec, CodecSetting

FRAMES = 2000
MAX_ELEMENTS = 20_000
# (offset, struct code) of every field of the header.
FIELDS = [
    (0, "I"),
    (4, "B"),
    (5, "B"),
    (6, "B"),
    (7, "B"),
    (8, "H"),
    (10, "H"),
    (12, "I"),
    (16, "I"),
    (20, "I"),
]
FIELDS += [(24, "f"), (28, "Q"), (36, "H"), (38, "H"), (40, "I"), (44, "I"), (48, "I")]
EDGES = {
    "B": [0, 1, 2, 127, 255],
    "H": [0, 1, 2, 3, 255, 65535],
    "I": [0, 1, 2, 5, 64, 1 << 16, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1],
    "Q": [0, (1 << 64) - 1],
    "f": [0.0, -1.0, 0.5, 1.0 + 2**-23, float("nan"), float("inf"), -float("inf"), 1e-45],
}


def flip(frame: bytearray, generator: np.random.Generator) -> None:
    for position in generator.integers(0, len(frame), generator.integers(1, 9)):
        frame[position] ^= 1 << generator.integers(8)


def truncate(frame: bytearray, generator: np.random.Generator) -> None:
    del frame[generator.integers(0, len(frame)) :]


def extend(frame: bytearray, generator: np.random.Generator) -> None:
    frame += generator.bytes(generator.integers(1, 100))


def overwrite(frame: bytearray, generator: np.random.Generator) -> None:
    start = generator.integers(0, len(frame))
    noise = generator.bytes(generator.integers(1, 32))
    frame[start : start + len(noise)] = noise


def forge_field(frame: bytearray, generator: np.random.Generator) -> None:
    for index in generator.integers(0, len(FIELDS), generator.integers(1, 4)):
        offset, code = FIELDS[index]
        edges = EDGES[code]
        struct.pack_into("<" + code, frame, offset, edges[generator.integers(len(edges))])


def forge_shape(frame: bytearray, generator: np.random.Generator) -> None:
    """Another shape of as many elements, or nearly."""
    shape = list(struct.unpack_from("<III", frame, 12))
    i, j = generator.permutation(3)[:2]
    shape[i], shape[j] = shape[j], shape[i]
    if generator.random() < 0.5:
        shape[i] = max(0, shape[i] + int(generator.integers(-2, 3)))
    struct.pack_into("<III", frame, 12, *shape)


def forge_length(frame: bytearray, generator: np.random.Generator) -> None:
    """Move bytes between neighbouring sections, so that the lengths still add up, or not."""
    offset = 48 + 4 * int(generator.integers(0, 2))
    pair = struct.unpack_from("<II", frame, offset)
    moved = int(generator.integers(-20, 21))
    slip = int(generator.random() < 0.3)
    struct.pack_into("<II", frame, offset, (pair[0] + moved) % 2**32, (pair[1] - moved + slip) % 2**32)


def forge_payload(frame: bytearray, generator: np.random.Generator) -> None:
    """Replace the last chunk by a zstd frame of zeros: of the right size, of another, or a bomb."""
    images, tokens, width = struct.unpack_from("<III", frame, 12)
    prefix_tokens = struct.unpack_from("<H", frame, 36)[0]
    right = (tokens - prefix_tokens) * width
    size = [right, right - 1, right + 1, 10**7, 4 * right][generator.integers(5)]
    chunk = bytearray(
        zstandard.ZstdCompressor(level=1, write_content_size=generator.random() < 0.8).compress(bytes(size))
    )
    if size == 10**7 and generator.random() < 0.5:
        # One segment that declares the right size and holds the bomb's blocks.
        chunk[4:10] = b"\xa0" + struct.pack("<I", right)
    length_at = HEADER_BYTES + 4 * (images - 1)
    (old,) = struct.unpack_from("<I", frame, length_at)
    frame[len(frame) - 4 - old : len(frame) - 4] = chunk
    struct.pack_into("<I", frame, length_at, len(chunk))


def reseal(frame: bytearray) -> None:
    if len(frame) >= HEADER_BYTES + 4:
        struct.pack_into("<I", frame, 44, len(frame))
        struct.pack_into("<I", frame, len(frame) - 4, zlib.crc32(frame[:-4]))


CORRUPTIONS = [flip, truncate, extend, overwrite, forge_field, forge_shape, forge_length, forge_payload]


def test_corrupted_frames_are_rejected_by_cause_or_harmless(artefacts, artefacts_maker):
    generator = np.random.default_rng(20)
    models = [artefacts, artefacts_maker(prefix_tokens=0), artefacts_maker(prefix_tokens=3, width=5)]
    honest = []
    for model in models:
        for images, patches in ((1, 1), (4, 16), (10, 9)):
            shape = (images, model.prefix_tokens + patches, model.width)
            activation = generator.normal(0, 4, shape).astype(np.float32)
            honest += [(model, encode(activation, CodecSetting(codec), model, 3)) for codec in Codec]
    outcomes: dict[bool, Counter] = {True: Counter(), False: Counter()}
    tracemalloc.start()
    try:
        for number in range(FRAMES):
            model, original = honest[generator.integers(len(honest))]
            frame = bytearray(original)
            CORRUPTIONS[generator.integers(len(CORRUPTIONS))](frame, generator)
            resealed = number % 2 == 0
            if resealed:
                reseal(frame)
            wire = bytes(frame)
            tracemalloc.reset_peak()
            before_bytes = tracemalloc.get_traced_memory()[0]
            try:
                activation = decode(wire, model, max_elements=MAX_ELEMENTS).activation
            except FrameError as error:
                assert isinstance(error.fault, FrameFault)
                outcomes[resealed][error.fault] += 1
            else:
                assert activation.dtype == np.float32
                assert activation.shape == struct.unpack_from("<III", wire, 12)
                assert 0 < activation.size <= MAX_ELEMENTS
                assert np.isfinite(activation).all()
                outcomes[resealed][None] += 1
            peak_bytes = tracemalloc.get_traced_memory()[1] - before_bytes
            assert peak_bytes <= 16 * MAX_ELEMENTS
    finally:
        tracemalloc.stop()
    assert sum(map(lambda c: sum(c.values()), outcomes.values())) == FRAMES
    # The corruption must be worth the name: without a new seal only an unchanged frame passes, and with one
    # every check behind the CRC-32 is met.
    assert outcomes[False][None] < 30
    behind_the_seal = set(FrameFault) - {FrameFault.CHECKSUM, FrameFault.LENGTH}
    assert behind_the_seal <= set(outcomes[True])
    assert outcomes[True][None] > 50
