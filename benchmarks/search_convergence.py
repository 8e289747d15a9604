"""Convergence of the paper's search in its four readings, as in Fig. 11: python benchmarks/search_convergence.py

Draws, over the nodes taken from the queue, the best complete path found so far and the f of the node taken. Every path
with all ratios anew takes minutes: Alg. 1 tries 160,000 combinations at each of its last steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from planner_speed import random_problem

from satllm_ros.planning.paper.paper_search import READINGS, Reading, Search, search
from satllm_ros.planning.problem.problem import Problem
from satllm_ros.planning.problem.solution import Solution
from satllm_ros.planning.solver.solve import solve

SATELLITES, LAYERS = 5, 48
# Okabe and Ito's colors, as in the timeline.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00")
INK = "#22303C"
BY_COUNT = Reading("node", "joint")


def shortened(problem: Problem, satellites: int) -> Problem:
    """The same problem with the first satellites only, which have the same memory in all."""
    grown = len(problem.satellites) / satellites
    return replace(
        problem,
        satellites=[replace(s, memory_bytes=s.memory_bytes * grown) for s in problem.satellites[:satellites]],
        links=[*problem.links[:satellites], problem.links[-1]],
    )


def curves(found: Search) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) number of the step from 1, f of its node, and the best complete path so far, nan before there is one [s]."""
    best = np.array([step.best_s for step in found.steps])
    return (
        np.arange(1, len(best) + 1),
        np.array([step.f_s for step in found.steps]),
        np.where(np.isinf(best), np.nan, best),
    )


def draw(
    readings: Sequence[Search], counts: dict[int, Search], optimum_s: float, problem: Problem, seed: int
) -> Figure:
    """The picture: all readings at one number of satellites, and one reading at several."""
    figure = Figure(figsize=(13, 6.2), dpi=120, facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2)
    for found, color in zip(readings, COLORS, strict=True):
        _curve(left, found, color, f"{found.reading}: {len(found.steps):,} steps, {_delay_s(found):.1f} s")
    left.axhline(optimum_s, color=INK, linewidth=1, linestyle=":", label=f"proven optimum: {optimum_s:.1f} s")
    left.set_xscale("log")
    left.set_title(f"Four readings, K = {SATELLITES} satellites", loc="left", fontsize=11, color=INK)
    for (count, found), color in zip(counts.items(), COLORS, strict=False):
        _curve(right, found, color, f"K = {count}: {len(found.steps)} steps, {_delay_s(found):.1f} s")
    title = f"Reading: {BY_COUNT}; the first K satellites (as Fig. 11)"
    right.set_title(title, loc="left", fontsize=11, color=INK)
    for axes in (left, right):
        axes.set_xlabel("steps: nodes taken from the queue", color=INK)
        axes.set_ylabel("delay by Eq. 13a [s]", color=INK)
        axes.set_ylim(bottom=0)
        axes.grid(color="#E3E7EA", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=9, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    figure.suptitle(
        f"The paper's search (Alg. 1 and 2): L = {problem.model.layers} layers, B = {problem.batches} batches, "
        f"{len(problem.compression.settings)} ratios, random problem, seed {seed}\n"
        "thick: best complete path so far (dashed: greedy ratios);  thin: f of the node taken;  dot: the end",
        fontsize=11.5,
        color=INK,
    )
    return figure


def _curve(axes: Axes, found: Search, color: str, label: str) -> None:
    step, bound_s, best_s = curves(found)
    axes.plot(step, bound_s, color=color, linewidth=0.9, alpha=0.55)
    # Curves that coincide stay visible.
    style = "--" if found.reading.ratios == "greedy" else "-"
    axes.plot(step, best_s, style, color=color, linewidth=2.2, drawstyle="steps-post", label=label)
    axes.plot(step[-1], bound_s[-1], "o", color=color, markersize=6)


def _delay_s(found: Search) -> float:
    assert found.solution is not None
    return found.solution.delay_s


def main() -> None:
    """Search and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("convergence.png"), help="picture (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the random problem (default: %(default)s)")
    arguments = parser.parse_args()
    problem = random_problem(SATELLITES, LAYERS, False, np.random.default_rng(arguments.seed))
    optimum = solve(problem, "paper")
    if not isinstance(optimum, Solution):
        parser.error(f"the random problem of seed {arguments.seed} has no plan")
    readings = []
    for reading in READINGS:
        readings.append(search(problem, reading))
        print(f"{reading}: {len(readings[-1].steps)} steps, {_delay_s(readings[-1]):.4f} s", flush=True)
    counts = {count: search(shortened(problem, count), BY_COUNT) for count in range(2, SATELLITES + 1)}
    draw(readings, counts, optimum.delay_s, problem, arguments.seed).savefig(arguments.out)
    print(f"optimum {optimum.delay_s:.4f} s; {arguments.out}")


if __name__ == "__main__":
    main()
