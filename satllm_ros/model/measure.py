"""How long this machine takes for a block."""

import statistics
import time

import torch

from satllm_ros.model.errors import ModelError
from satllm_ros.model.stage import Stage


def block_seconds(stage: Stage, tiles: int, repeats: int) -> float:
    """Median seconds per block and tile over some runs of a stage's blocks, after one run to warm up.

    Parameters
    ----------
    tiles
        N, the tiles per batch to measure with.
    repeats
        Number of measured runs.

    Raises
    ------
    ModelError
        If tiles or repeats is below 1.
    """
    if tiles < 1 or repeats < 1:
        raise ModelError(f"cannot measure {repeats} runs of {tiles} tiles; both must be at least 1")
    x = torch.zeros(tiles, *stage.activation_shape, dtype=stage.dtype, device=next(stage.parameters()).device)
    run_s = []
    for _ in range(repeats + 1):
        begin_s = time.perf_counter()
        # Fetching one value waits for devices that compute in the background.
        stage.run_blocks(x)[0, 0, 0].item()
        run_s.append(time.perf_counter() - begin_s)
    return statistics.median(run_s[1:]) / (len(stage.blocks) * tiles)
