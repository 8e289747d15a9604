"""What each codec setting costs here: time to encode and decode, and bytes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.model.spec import read_spec
from satllm_ros.model.stage import load_stage
from satllm_ros.profiling.files import CodecCost


def measure_codecs(
    checkpoint: Path,
    artefacts: Artefacts,
    settings: Sequence[CodecSetting],
    batch_tiles: int,
    repeats: int,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, CodecCost]:
    """Medians over some runs on the first calibrated cut's activations of noise images."""
    spec = read_spec(checkpoint)
    cut = min(artefacts.scales, default=1)
    images = torch.randn(
        batch_tiles, 3, spec.image_height, spec.image_width, generator=torch.Generator().manual_seed(0)
    )
    activation = load_stage(checkpoint, 0, cut)(images).numpy()
    found = {}
    for setting in settings:
        frame = encode(activation, setting, artefacts, cut)
        encode_s = _median_s(partial(encode, activation, setting, artefacts, cut), repeats)
        decode_s = _median_s(partial(decode, frame, artefacts, max_elements=activation.size), repeats)
        found[str(setting)] = CodecCost(
            encode_s / activation.nbytes, decode_s / activation.nbytes, len(frame) / activation.nbytes
        )
        tick()
    return found


def _median_s(call: Callable[[], object], repeats: int) -> float:
    taken_s = np.empty(repeats)
    for i in range(repeats):
        begin_s = time.perf_counter()
        call()
        taken_s[i] = time.perf_counter() - begin_s
    return statistics.median(taken_s.tolist())
