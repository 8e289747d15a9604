"""Regret of re-planning over a planner that knows the future: python benchmarks/replan_regret.py [--traces 1000]"""

import argparse

import numpy as np

from satllm_ros.simulation.regret.changing_world import random_world
from satllm_ros.simulation.regret.replanning import Habit, Paces, clairvoyant, online

HABITS: dict[Habit, str] = {
    "evaluate": "moves if the gain exceeds the cost (as flown)",
    "always": "moves to whatever is best at each look",
    "never": "stays with its first plan",
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=1000, help="random traces, by seed (default: %(default)s)")
    parser.add_argument("--others", type=int, default=200, help="of these, for the other habits (default: %(default)s)")
    arguments = parser.parse_args()
    regrets: dict[Habit, list[float]] = {habit: [] for habit in HABITS}
    moves: dict[Habit, list[int]] = {habit: [] for habit in HABITS}
    for seed in range(arguments.traces):
        world = random_world(np.random.default_rng(seed))
        paces = Paces(world)
        best_s = clairvoyant(world, paces)
        habits: tuple[Habit, ...] = tuple(HABITS) if seed < arguments.others else ("evaluate",)
        for habit in habits:
            run = online(world, paces, np.random.default_rng([seed, 1]), habit)
            regrets[habit].append(run.time_s / best_s - 1)
            moves[habit].append(run.moves)
    print("regret is time / clairvoyant time - 1")
    print(f"{'planner':>48} {'traces':>6} {'mean':>7} {'median':>7} {'95 %':>7} {'worst':>7} {'moves':>6}")
    for habit, what in HABITS.items():
        found = np.array(regrets[habit])
        print(
            f"{what:>48} {len(found):>6} {found.mean():>7.1%} {np.median(found):>7.1%} "
            f"{np.percentile(found, 95):>7.1%} {found.max():>7.1%} {np.mean(moves[habit]):>6.1f}"
        )


if __name__ == "__main__":
    main()
