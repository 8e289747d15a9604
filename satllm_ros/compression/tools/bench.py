"""How fast the codecs are and how small they make things, beside memcpy and peers in the same run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from statistics import median
from time import thread_time

import numpy as np
import zstandard
from numpy.typing import NDArray

from satllm_ros.compression.calibration.calibrate import calibrate
from satllm_ros.compression.calibration.calibrate_tables import calibrate_tables
from satllm_ros.compression.calibration.sensitivity import Sensitivity
from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tools.estimate import estimate
from satllm_ros.compression.wire.frame import read_header, split_sections
from satllm_ros.compression.wire.setting import CodecSetting

_CUT = 1
_PREFIX_TOKENS = 1
_CALIBRATION_IMAGES = 12


@dataclass(frozen=True)
class Row:
    """One line of the table; GB/s are of the fp32 tensor, medians. `bound_bytes` is None where nothing is coded."""

    codec: str
    setting: str
    shape: tuple[int, int, int]
    threads: int
    encode_gbps: float
    decode_gbps: float
    memcpy_gbps: float
    bytes: int
    bound_bytes: float | None


def bench(shape: tuple[int, int, int], settings: list[str], rounds: int) -> Iterator[Row]:
    """Measure settings, then peers, on made-up activations of a shape; one after the other in every round."""
    activation, artefacts = material(shape)
    copy, out = np.empty_like(activation), np.empty_like(activation)
    cases: list[tuple[str, str, Callable[[], bytes], Callable[[bytes], object]]] = [
        (name.split(":")[0], name, _encoder(activation, name, artefacts), _decoder(artefacts, out))
        for name in (str(CodecSetting.parse(text)) for text in settings)
    ]
    cases += _peers(activation)
    frames = [encode_case() for _, _, encode_case, _ in cases]
    copy_s: list[float] = []
    encode_s: list[list[float]] = [[] for _ in cases]
    decode_s: list[list[float]] = [[] for _ in cases]
    for _ in range(rounds):
        copy_s.append(_seconds(lambda: np.copyto(copy, activation)))
        for index, (_, _, encode_case, decode_case) in enumerate(cases):
            encode_s[index].append(_seconds(encode_case))
            decode_s[index].append(_seconds(partial(decode_case, frames[index])))
    gigabytes = activation.nbytes / 1e9
    for index, (codec, setting, _, _) in enumerate(cases):
        frame = frames[index]
        yield Row(
            codec,
            setting,
            shape,
            1,
            gigabytes / median(encode_s[index]),
            gigabytes / median(decode_s[index]),
            gigabytes / median(copy_s),
            len(frame),
            _bound_bytes(frame, artefacts) if index < len(settings) else None,
        )


def material(shape: tuple[int, int, int]) -> tuple[NDArray[np.float32], Artefacts]:
    """Activation of a shape and artefacts for it: channels that depend on each other, neighboring tokens alike."""
    images, tokens, width = shape
    generator = np.random.default_rng(0)
    mixing = generator.normal(0, 1, (width, width)) * (1 + np.arange(width)[:, None]) ** -0.75
    offset = generator.normal(0, 1, (tokens, width))

    def draw(count: int) -> NDArray[np.float32]:
        fresh = generator.normal(0, 1, (count, tokens + 1, width)).astype(np.float32)
        return ((fresh[:, 1:] + fresh[:, :-1]) @ mixing.astype(np.float32) + offset.astype(np.float32)).astype(
            np.float32
        )

    directions = generator.normal(0, 0.01, (64, width))
    metric = directions.T @ directions / len(directions) + 1e-6 * np.eye(width)
    found = Sensitivity(metric, metric, np.broadcast_to(np.diag(metric), (tokens, width)))
    sample = {_CUT: draw(_CALIBRATION_IMAGES)}
    tables, coefficients = calibrate_tables(lambda: [sample], {_CUT: found}, _PREFIX_TOKENS)
    scales = calibrate([sample], _PREFIX_TOKENS)
    artefacts = Artefacts("0" * 16, _PREFIX_TOKENS, width, scales, tables=tables, coefficients=coefficients)
    return draw(images), artefacts


def _encoder(activation: NDArray[np.float32], setting: str, artefacts: Artefacts) -> Callable[[], bytes]:
    return lambda: encode(activation, CodecSetting.parse(setting), artefacts, _CUT)


def _decoder(artefacts: Artefacts, out: NDArray[np.float32]) -> Callable[[bytes], object]:
    return lambda frame: decode(frame, artefacts, max_elements=out.size, out=out)


def _peers(activation: NDArray[np.float32]) -> list[tuple[str, str, Callable[[], bytes], Callable[[bytes], object]]]:
    """General compressors on the plain tensor, those that are installed."""
    half = activation.astype(np.float16)
    compressor, decompressor = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()
    found: list[tuple[str, str, Callable[[], bytes], Callable[[bytes], object]]] = [
        ("zstd", "fp16, level 1", lambda: compressor.compress(half.data), decompressor.decompress)
    ]
    try:
        blosc2 = import_module("blosc2")
        found.append(
            ("blosc2", "fp32, shuffle, zstd 1", lambda: blosc2.compress2(activation, clevel=1), blosc2.decompress2)
        )
    except ImportError:
        pass
    try:
        blosc = import_module("numcodecs").Blosc(cname="zstd", clevel=1)
        found.append(("numcodecs", "fp32, Blosc zstd 1", lambda: blosc.encode(activation), blosc.decode))
    except ImportError:
        pass
    return found


def _seconds(work: Callable[[], object]) -> float:
    """Processor time: what other programs take is not the codec's."""
    start_s = thread_time()
    work()
    return thread_time() - start_s


def _bound_bytes(frame: bytes, artefacts: Artefacts) -> float | None:
    """What the patch tokens' symbols could take at best, and what is not coded as it is."""
    view = memoryview(frame)
    header = read_header(view, max_elements=1 << 40)
    found = estimate(header, split_sections(view, header), artefacts)
    return None if found is None else len(frame) - found.stage_bytes + found.bound_bytes
