"""How long this computer takes for a block."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from satllm_ros.model.errors import ModelError

if TYPE_CHECKING:
    from satllm_ros.model.stage import SubModel


def block_seconds(stage: SubModel, tiles: int, repeats: int, within_s: float = math.inf) -> float:
    """Median seconds per block and tile over some runs of a stage's blocks; see `run_seconds`.

    Parameters
    ----------
    tiles
        N, the tiles per batch to measure with.

    Raises
    ------
    ModelError
        If tiles or repeats is below 1.
    """
    import torch

    check_runs(tiles, repeats)
    x = torch.zeros(tiles, *stage.activation_shape, dtype=stage.dtype)
    return run_seconds(lambda: stage.run_blocks(x), repeats, within_s) / (len(stage.blocks) * tiles)


def check_runs(tiles: int, repeats: int) -> None:
    """Refuse to measure nothing."""
    if tiles < 1 or repeats < 1:
        raise ModelError(f"cannot measure {repeats} runs of {tiles} tiles; both must be at least 1")


def run_seconds(run: Callable[[], object], repeats: int, within_s: float) -> float:
    """Median seconds of some runs, after one to warm up.

    Time on the processor, on which it must run: at the start of a graph all processes are importing, and in line for
    it. With several threads it is the time of the one that leads them.

    Parameters
    ----------
    repeats
        Number of measured runs; fewer, but one, if they would take longer than `within_s` together.
    """
    run_s: list[float] = []
    for _ in range(repeats + 1):
        if len(run_s) > 1 and sum(run_s) > within_s:
            break
        begin_s = time.thread_time()
        run()
        run_s.append(time.thread_time() - begin_s)
    return statistics.median(run_s[1:])
