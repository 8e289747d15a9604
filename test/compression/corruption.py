"""Corrupted frames by the thousand: each is rejected by cause or decodes to finite values of the declared shape.

As a command, for as many as one likes: `python test/compression/corruption.py --frames 1000000`.
"""

import argparse
import struct
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable

import numpy as np
import zstandard

from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.errors import FrameError, FrameFault
from satllm_ros.compression.wire.frame import HEADER_BYTES
from satllm_ros.compression.wire.setting import Codec, CodecSetting

MAX_ELEMENTS = 20_000
SETTINGS = ["raw", "fp16", "int8", "topk:0.3:8", "topk:0.3:6", "randtopk:0.3:7", "mask:0.3:8", "mask:0.6:6"]
SETTINGS += ["mask:0.001:8", "mask_dynamic:0.3:8", "mask_dynamic:0.3:6", "klt:2", "klt:10", "klt:30"]
# Measuring memory is slow: every so many frames.
MEASURED_EVERY = 16
# (offset, struct code) of every field of the header.
FIELDS = [
    *((0, "I"), (4, "B"), (5, "B"), (6, "B"), (7, "B"), (8, "H"), (10, "H"), (12, "I"), (16, "I"), (20, "I")),
    *((24, "f"), (28, "Q"), (36, "H"), (38, "H"), (40, "I"), (44, "I"), (48, "I")),
]
EDGES = {
    "B": [*range(10), 16, 32, 127, 255],
    "H": [0, 1, 2, 3, 255, 65535],
    "I": [0, 1, 2, 5, 64, 1 << 16, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1],
    "Q": [0, (1 << 64) - 1],
    "f": [0.0, -1.0, 0.3, 0.5, 1.0, 1.0 + 2**-23, float("nan"), float("inf"), -float("inf"), 1e-45, 3.4e38],
}
Seconds = Callable[[bytes, Artefacts], np.ndarray | FrameFault]


def flip(frame: bytearray, generator: np.random.Generator) -> None:
    for position in generator.integers(0, len(frame), generator.integers(1, 9)):
        frame[position] ^= 1 << generator.integers(8)


def flip_sections(frame: bytearray, generator: np.random.Generator) -> None:
    """Leave the header as it is, so that what lies behind all its checks is met."""
    for position in generator.integers(min(HEADER_BYTES, len(frame) - 1), len(frame), generator.integers(1, 4)):
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


def forge_range(frame: bytearray, generator: np.random.Generator) -> None:
    """Overwrite eight bytes where a chunk may begin with a range."""
    images, prefix_bytes = struct.unpack_from("<I", frame, 12)[0], struct.unpack_from("<I", frame, 48)[0]
    edges = EDGES["f"]
    values = [edges[i] for i in generator.integers(0, len(edges), 2)]
    offset = HEADER_BYTES + 4 * images + prefix_bytes
    if offset + 8 <= len(frame):
        struct.pack_into("<ff", frame, offset, *values)


def forge_shape(frame: bytearray, generator: np.random.Generator) -> None:
    """Another shape of as many elements, or nearly."""
    shape = list(struct.unpack_from("<III", frame, 12))
    i, j = generator.permutation(3)[:2]
    shape[i], shape[j] = shape[j], shape[i]
    if generator.random() < 0.5:
        shape[i] = max(0, shape[i] + int(generator.integers(-2, 3)))
    struct.pack_into("<III", frame, 12, *shape)


def forge_length(frame: bytearray, generator: np.random.Generator) -> None:
    """Move bytes between neighboring sections, so that the lengths still add up, or not."""
    offset = 48 + 4 * int(generator.integers(0, 2))
    pair = struct.unpack_from("<II", frame, offset)
    moved = int(generator.integers(-20, 21))
    slip = int(generator.random() < 0.3)
    struct.pack_into("<II", frame, offset, (pair[0] + moved) % 2**32, (pair[1] - moved + slip) % 2**32)


def forge_payload(frame: bytearray, generator: np.random.Generator) -> None:
    """Replace the last chunk by a zstd frame of zeros: of the right size, of another, or a bomb."""
    images, tokens, width = struct.unpack_from("<III", frame, 12)
    keep_ratio = struct.unpack_from("<f", frame, 24)[0]
    prefix_tokens = struct.unpack_from("<H", frame, 36)[0]
    right = int(keep_ratio * (tokens - prefix_tokens) * width + 0.5)
    size = max(0, [right, right - 1, right + 1, 10**6, 4 * right][generator.integers(5)])
    chunk = bytearray(
        zstandard.ZstdCompressor(level=1, write_content_size=generator.random() < 0.8).compress(bytes(size))
    )
    if size == 10**6 and generator.random() < 0.5:
        # One segment that declares the right size and holds the bomb's blocks.
        chunk[4:10] = b"\xa0" + struct.pack("<I", right)
    length_at = HEADER_BYTES + 4 * (images - 1)
    (old,) = struct.unpack_from("<I", frame, length_at)
    frame[len(frame) - 4 - old : len(frame) - 4] = chunk
    struct.pack_into("<I", frame, length_at, len(chunk))


def reseal(frame: bytearray) -> None:
    """The length and CRC-32 of an honest frame."""
    if len(frame) >= HEADER_BYTES + 4:
        struct.pack_into("<I", frame, 44, len(frame))
        struct.pack_into("<I", frame, len(frame) - 4, zlib.crc32(frame[:-4]))


CORRUPTIONS = [flip, flip_sections, truncate, extend, overwrite]
CORRUPTIONS += [forge_field, forge_range, forge_shape, forge_length, forge_payload]


def honest_frames(models: list[Artefacts]) -> list[tuple[Artefacts, bytes]]:
    """Frames of every setting for every model, which must have tables."""
    generator = np.random.default_rng(20)
    frames = []
    for model in models:
        for images in (1, 4):
            shape = (images, model.tables[3].tokens, model.width)
            activation = generator.normal(0, 4, shape).astype(np.float32)
            frames += [(model, encode(activation, CodecSetting.parse(name), model, 3)) for name in SETTINGS]
    return frames


def corrupt_and_decode(
    count: int, honest: list[tuple[Artefacts, bytes]], *, seed: int, second: Seconds | None = None
) -> dict[bool, Counter]:
    """Corrupt and decode, every other frame sealed anew; gives the outcomes by whether it was.

    An outcome is a codec and its fault, None for a tensor.

    Parameters
    ----------
    second
        Another decoder, which must agree on every tensor's bits and on every fault.

    Raises
    ------
    AssertionError
        If a frame gives a tensor that is not finite, of another shape, or at the price of much memory; any other
        exception that a decoder lets out.
    """
    generator = np.random.default_rng(seed)
    outcomes: dict[bool, Counter] = {True: Counter(), False: Counter()}
    for number in range(count):
        model, original = honest[generator.integers(len(honest))]
        frame = bytearray(original)
        CORRUPTIONS[generator.integers(len(CORRUPTIONS))](frame, generator)
        resealed = number % 2 == 0
        if resealed:
            reseal(frame)
        wire = bytes(frame)
        found = _decode_measured(wire, model) if number % MEASURED_EVERY == 0 else _decode(wire, model)
        if second is not None:
            other = second(wire, model)
            same = found.tobytes() == other.tobytes() if _both_tensors(found, other) else found is other
            assert same, (number, found, other, wire.hex())
        outcomes[resealed][Codec(original[5]), found if isinstance(found, FrameFault) else None] += 1
    return outcomes


def _both_tensors(found: object, other: object) -> bool:
    return isinstance(found, np.ndarray) and isinstance(other, np.ndarray)


def _decode(wire: bytes, model: Artefacts) -> np.ndarray | FrameFault:
    try:
        activation = decode(wire, model, max_elements=MAX_ELEMENTS).activation
    except FrameError as error:
        return error.fault
    assert activation.dtype == np.float32
    assert activation.shape == struct.unpack_from("<III", wire, 12)
    assert 0 < activation.size <= MAX_ELEMENTS
    assert np.isfinite(activation).all(), wire.hex()
    return activation


def _decode_measured(wire: bytes, model: Artefacts) -> np.ndarray | FrameFault:
    tracemalloc.start()
    try:
        found = _decode(wire, model)
        assert tracemalloc.get_traced_memory()[1] <= 32 * MAX_ELEMENTS
    finally:
        tracemalloc.stop()
    return found


def main() -> None:
    from made_models import make_full_artefacts

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    sizes = [(1, 8, 9), (0, 5, 4), (3, 16, 25)]
    models = [make_full_artefacts(prefix_tokens=p, width=d, patches=t) for p, d, t in sizes]
    outcomes = corrupt_and_decode(args.frames, honest_frames(models), seed=args.seed)
    for resealed, counted in outcomes.items():
        print(f"{sum(counted.values())} frames {'sealed anew' if resealed else 'as corrupted'}")
        for codec in Codec:
            causes = {fault: n for (c, fault), n in counted.items() if c is codec}
            words = ", ".join(f"{f.value if f else 'a finite tensor'} {n}" for f, n in sorted(causes.items(), key=str))
            print(f"  {codec.name.lower()}: {words}")


if __name__ == "__main__":
    main()
