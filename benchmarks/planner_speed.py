"""Time the planner over (K, L), in CPU time of its one thread: python benchmarks/planner_speed.py [--scaling]"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np

from satllm_ros.planning.problem.problem import Compression, Link, Model, Problem, Satellite, Setting
from satllm_ros.planning.solver.bound import bottleneck_floor_s
from satllm_ros.planning.solver.costs import tabulate
from satllm_ros.planning.solver.losses import loss_levels
from satllm_ros.planning.solver.optimum import minimize
from satllm_ros.planning.solver.solve import OBJECTIVES, solve

SIZES = {
    "exact": ((1, 12), (4, 12), (5, 48), (12, 96), (50, 500)),
    "paper": ((4, 12), (5, 48), (12, 96)),
}


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
        model=Model(memory.tolist(), [1.095e8] * (layers + 1), rng.uniform(0.5e12, 2e12, layers).tolist()),
        satellites=[
            Satellite(f"sat{k + 1}", 2.5 * memory.sum() / satellites, flops_per_s=rng.uniform(1e12, 8e12))
            for k in range(satellites)
        ],
        links=[Link(rng.uniform(1e8, 1e9)) for _ in range(satellites + 1)],
        compression=compression,
    )


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.thread_time()
    call()
    return (time.thread_time() - start) * 1e3


def _row(satellites: int, layers: int, costly: bool, objective: str, instances: int) -> None:
    solver, whole = [], []
    for seed in range(instances):
        problem = random_problem(satellites, layers, costly, np.random.default_rng(seed))
        costs = tabulate(problem, paper=objective == "paper")
        floor_s = bottleneck_floor_s(problem, costs)
        levels = loss_levels(costs, "down")
        solver.append(_milliseconds(partial(minimize, costs, levels, floor_s)))
        whole.append(_milliseconds(partial(solve, problem, objective)))
    kind = "5 costly" if costly else "20 ratios"
    print(
        f"{objective:>9} {satellites:>4} {layers:>4} {kind:>10} {median(solver):>10.2f} {max(solver):>8.2f} "
        f"{median(whole):>26.2f}",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=20, help="random problems of each size (default: 20)")
    parser.add_argument("--scaling", action="store_true", help="also double K, then L, one at a time")
    arguments = parser.parse_args()
    print(
        f"{'objective':>9} {'K':>4} {'L':>4} {'settings':>10} {'solver ms':>10} {'worst':>8} "
        f"{'with tables and report ms':>26}"
    )
    for objective in OBJECTIVES:
        for satellites, layers in SIZES[objective]:
            for costly in (False, True):
                _row(satellites, layers, costly, objective, arguments.instances)
    if arguments.scaling:
        for objective in OBJECTIVES:
            for satellites in (2, 4, 8, 16, 32):
                _row(satellites, 96, False, objective, arguments.instances)
            for layers in (24, 48, 96, 192, 384):
                _row(8, layers, False, objective, arguments.instances)


if __name__ == "__main__":
    main()
