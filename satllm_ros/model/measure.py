"""How long this computer takes for a block."""

import math
import statistics
import time

import torch

from satllm_ros.model.errors import ModelError
from satllm_ros.model.stage import SubModel


def block_seconds(stage: SubModel, tiles: int, repeats: int, within_s: float = math.inf) -> float:
    """Median seconds per block and tile over some runs of a stage's blocks, after one run to warm up.

    Time on the processor, which the stage must run on: at the start of a graph all processes are importing, and in line
    for it. With several threads it is the time of the one that leads them.

    Parameters
    ----------
    tiles
        N, the tiles per batch to measure with.
    repeats
        Number of measured runs; fewer, but one, if they would take longer than `within_s` together.

    Raises
    ------
    ModelError
        If tiles or repeats is below 1.
    """
    if tiles < 1 or repeats < 1:
        raise ModelError(f"cannot measure {repeats} runs of {tiles} tiles; both must be at least 1")
    x = torch.zeros(tiles, *stage.activation_shape, dtype=stage.dtype)
    run_s: list[float] = []
    for _ in range(repeats + 1):
        if len(run_s) > 1 and sum(run_s) > within_s:
            break
        begin_s = time.thread_time()
        stage.run_blocks(x)
        run_s.append(time.thread_time() - begin_s)
    return statistics.median(run_s[1:]) / (len(stage.blocks) * tiles)
