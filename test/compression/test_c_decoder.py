"""The C decoder gives what the Python one gives, bit for bit and fault for fault, and touches no foreign memory."""

import ctypes
import ctypes.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from c_decoder import CDecoder, Inflate
from corruption import SETTINGS, corrupt_and_decode, honest_frames
from made_models import ArtefactsMaker, SamplesMaker

from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.setting import CodecSetting

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
# The few declarations of libzstd's stable interface that the adapter needs, for machines without its header.
ZSTD_HEADER = """
#include <stddef.h>
typedef struct ZSTD_DCtx_s ZSTD_DCtx;
size_t ZSTD_findFrameCompressedSize(const void *src, size_t srcSize);
size_t ZSTD_decompressDCtx(ZSTD_DCtx *dctx, void *dst, size_t dstCapacity, const void *src, size_t srcSize);
"""


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("sizes", [(1, 8, 9), (0, 5, 4), (3, 16, 25)])
def test_it_gives_the_same_bits(
    name: str,
    sizes: tuple[int, int, int],
    library: Path,
    full_artefacts_maker: ArtefactsMaker,
    samples_maker: SamplesMaker,
) -> None:
    kind = dict(zip(("prefix_tokens", "width", "patches"), sizes, strict=True))
    artefacts = full_artefacts_maker(**kind)
    frame = encode(samples_maker(**kind, images=5, seed=9), CodecSetting.parse(name), artefacts, 2)
    expected = decode(frame, artefacts, max_elements=20_000).activation
    found = CDecoder(library)(frame, artefacts)
    assert found.shape == expected.shape and found.tobytes() == expected.tobytes()


def test_it_refuses_what_python_refuses_for_the_same_cause(library: Path, full_artefacts_maker: ArtefactsMaker) -> None:
    models = [full_artefacts_maker(), full_artefacts_maker(prefix_tokens=3, width=16, patches=25)]
    corrupt_and_decode(3000, honest_frames(models), seed=2, second=CDecoder(library))


def test_sanitizers_find_nothing(library_builder: Callable[..., Path]) -> None:
    sanitized = library_builder("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = {
        **os.environ,
        "LD_PRELOAD": runtime.stdout.strip(),
        # Python itself never frees all it has.
        "ASAN_OPTIONS": "detect_leaks=0",
        # An empty entry would be the working directory.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, str(HERE / "c_decoder.py"), str(sanitized), "2000"]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert (finished.returncode, finished.stdout.strip()) == (0, "agreed"), finished.stderr[-3000:]


def test_it_works_with_libzstd_itself(
    tmp_path: Path, library: Path, full_artefacts: Artefacts, samples_maker: SamplesMaker
) -> None:
    name = ctypes.util.find_library("zstd")
    if name is None:
        pytest.skip("no libzstd on this machine")
    (tmp_path / "zstd.h").write_text(ZSTD_HEADER)
    source = tmp_path / "adapter.c"
    source.write_text(
        '#include "satllm_ros/codec_zstd.h"\n'
        "int inflate(void *context, void *out, size_t n, const void *in, size_t m) {\n"
        "  return satllm_inflate_zstd(context, out, n, in, m);\n}\n"
    )
    command = ["gcc", "-std=c99", "-Wall", "-Werror", "-fPIC", "-shared", f"-I{tmp_path}", f"-I{CHECKOUT / 'include'}"]
    subprocess.run([*command, str(source), "-o", str(tmp_path / "adapter.so"), f"-l:{name}"], check=True)
    zstd = ctypes.CDLL(name)
    zstd.ZSTD_createDCtx.restype = ctypes.c_void_p
    context = zstd.ZSTD_createDCtx()
    inflate = ctypes.cast(ctypes.CDLL(str(tmp_path / "adapter.so")).inflate, Inflate)
    decoder = CDecoder(library, inflate, context)
    for setting in ("int8", "topk:0.3:8", "mask:0.5:8"):
        frame = encode(samples_maker(images=4), CodecSetting.parse(setting), full_artefacts, 2)
        expected = decode(frame, full_artefacts, max_elements=20_000).activation
        assert decoder(frame, full_artefacts).tobytes() == expected.tobytes()
    corrupt_and_decode(1000, honest_frames([full_artefacts]), seed=3, second=decoder)
    zstd.ZSTD_freeDCtx(ctypes.c_void_p(context))


def test_too_little_scratch_is_refused(library: Path, full_artefacts: Artefacts) -> None:
    decoder = CDecoder(library)
    held = decoder._hold(full_artefacts)
    enough = decoder._library.satllm_scratch_bytes(ctypes.byref(held), ctypes.c_size_t(100))
    fault = decoder._library.satllm_decode(
        None, ctypes.c_size_t(0), ctypes.byref(held), None, ctypes.c_size_t(100), None, ctypes.c_size_t(enough - 1),
        decoder._inflate, None, None,
    )  # fmt: skip
    assert fault == 16


def test_half_floats_of_all_bits_are_read_right(library: Path, full_artefacts: Artefacts) -> None:
    """Through the means: every finite binary16 pattern, as numpy reads it."""
    compiled = ctypes.CDLL(str(library))
    compiled.satllm_half.restype = ctypes.c_float
    patterns = np.arange(1 << 16, dtype=np.uint16)
    expected = patterns.view(np.float16).astype(np.float32)
    found = np.array([compiled.satllm_half(ctypes.c_uint16(int(p))) for p in patterns], np.float32)
    finite = np.isfinite(expected)
    assert found[finite].tobytes() == expected[finite].tobytes()
    assert not np.isfinite(found[~finite]).any()
