"""Time the exact planner over (K, L): python benchmarks/planner_speed.py"""

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from satllm_ros.planning.bound import bottleneck_floor_s
from satllm_ros.planning.costs import tabulate
from satllm_ros.planning.losses import loss_levels
from satllm_ros.planning.optimum import minimise
from satllm_ros.planning.problem import Compression, Link, Model, Problem, Satellite, Setting
from satllm_ros.planning.solve import solve

SIZES = ((1, 12), (4, 12), (5, 48), (12, 96), (50, 500))
INSTANCES = 20


def random_problem(satellites: int, layers: int, settings: bool, rng: np.random.Generator) -> Problem:
    """Unequal layers, satellites, links and memory; 20 ratios, or five settings that cost time."""
    memory = rng.uniform(5e7, 1.5e8, layers).round()
    if settings:
        offered = [
            Setting(
                f"s{i}",
                ratio,
                accuracy=1.0,
                encode_s_per_byte=3e-9 / ratio**0.5 * (i < 4),
                decode_s_per_byte=1e-9,
            )
            for i, ratio in enumerate((0.02, 0.05, 0.12, 0.25, 1.0))
        ]
        compression = Compression(offered, 0.9)
    else:
        ratios = np.linspace(0.05, 1.0, 20)
        compression = Compression.from_ratios(ratios, [[0.05, 0.6], [1.0, 1.0]], 0.8)
    return Problem(
        batches=64,
        model=Model(memory, np.full(layers + 1, 1.095e8), rng.uniform(0.5e12, 2e12, layers)),
        satellites=[
            Satellite(f"sat{k + 1}", 2.5 * memory.sum() / satellites, flops_per_s=rng.uniform(1e12, 8e12))
            for k in range(satellites)
        ],
        links=[Link(rng.uniform(1e8, 1e9)) for _ in range(satellites + 1)],
        compression=compression,
    )


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    """Print the table."""
    print(f"{'K':>4} {'L':>4} {'settings':>10} {'solver ms':>10} {'worst':>8} {'with tables and report ms':>26}")
    for satellites, layers in SIZES:
        for costly in (False, True):
            solver, whole = [], []
            for seed in range(INSTANCES):
                problem = random_problem(satellites, layers, costly, np.random.default_rng(seed))
                costs = tabulate(problem)
                floor_s = bottleneck_floor_s(problem, costs)
                solver.append(_milliseconds(lambda c=costs, f=floor_s: minimise(c, loss_levels(c, "down"), f)))
                whole.append(_milliseconds(lambda p=problem: solve(p)))
            kind = "5 costly" if costly else "20 ratios"
            print(
                f"{satellites:>4} {layers:>4} {kind:>10} {median(solver):>10.2f} {max(solver):>8.2f} "
                f"{median(whole):>26.2f}"
            )


if __name__ == "__main__":
    main()
