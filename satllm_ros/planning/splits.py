"""Splits that memory allows, whatever they cost."""

import math

import numpy as np

from satllm_ros.planning.problem import Problem


def fewest_stages(problem: Problem) -> int:
    """The least number of satellites that have layers in any split that memory allows; 0 if there is none."""
    layers = problem.model.layers
    held = np.concatenate([[0.0], np.cumsum(problem.model.layer_memory_bytes)])
    starts = np.arange(layers + 1)
    stages = np.full(layers + 1, math.inf)
    stages[0] = 0
    for satellite in problem.satellites:
        free = satellite.memory_bytes - satellite.memory_overhead_bytes
        fits = (held[None, :] - held[:, None] <= free) & (starts[:, None] < starts)
        after = np.where(fits, stages[:, None] + 1, math.inf).min(axis=0)
        if satellite.may_relay and free >= 0:
            after = np.minimum(after, stages)
        stages = after
    return int(stages[-1]) if math.isfinite(stages[-1]) else 0
