"""How long each layer takes here, by batch size and threads."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from satllm_ros.model.spec import read_spec
from satllm_ros.model.stage import load_stage
from satllm_ros.profiling.files import BlockTimes


def measure_blocks(
    checkpoint: Path,
    batch_tiles: Sequence[int],
    threads: Sequence[int],
    repeats: int,
    tick: Callable[[], None] = lambda: None,
) -> list[BlockTimes]:
    """Median of some runs after one to warm up; layers are loaded one at a time, so the model need not fit.

    Parameters
    ----------
    tick
        Called after each layer of each combination.
    """
    spec = read_spec(checkpoint)
    before = torch.get_num_threads()
    found: dict[tuple[int, int], list[float]] = {(n, t): [] for n in batch_tiles for t in threads}
    try:
        for layer in range(spec.blocks):
            stage = load_stage(checkpoint, layer, layer + 1)
            shape = (3, spec.image_height, spec.image_width) if layer == 0 else (spec.tokens, spec.width)
            for tiles, count in found:
                torch.set_num_threads(count)
                x = torch.randn(tiles, *shape, generator=torch.Generator().manual_seed(layer))
                found[tiles, count].append(_median_s(stage, x, repeats))
                tick()
    finally:
        torch.set_num_threads(before)
    return [BlockTimes(tiles, count, tuple(layer_s)) for (tiles, count), layer_s in found.items()]


def _median_s(run: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, repeats: int) -> float:
    run(x)
    taken_s = []
    for _ in range(repeats):
        begin_s = time.perf_counter()
        run(x)
        taken_s.append(time.perf_counter() - begin_s)
    return statistics.median(taken_s)
