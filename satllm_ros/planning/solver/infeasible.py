"""Why a problem has no plan, and the nearest change that would give it one."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from satllm_ros.planning.problem.checks import LARGEST
from satllm_ros.planning.problem.problem import Problem
from satllm_ros.planning.problem.solution import Reason
from satllm_ros.planning.solver.costs import memory_before, usable_settings
from satllm_ros.planning.solver.losses import in_units, limit_units
from satllm_ros.planning.solver.splits import fewest_stages, least_loss_split


def reasons(problem: Problem) -> list[Reason]:
    """All constraints that no plan can meet; empty if there is a plan."""
    found = []
    must, layers = sum(not s.may_relay for s in problem.satellites), problem.model.layers
    if must > layers:
        found.append(
            Reason(
                "layers",
                "model",
                f"{_plural(must, 'satellite needs', 'satellites need')} at least "
                f"{_plural(must, 'block')}, the model has {layers}",
                f"use at most {_plural(layers, 'satellite')}"
                + (", or let others relay" if must < len(problem.satellites) or layers == 1 else ""),
            )
        )
        # A chain of the length the model allows is what accuracy is then about.
        return _accuracy_reasons(problem, tuple(range(1, layers))) + found
    memory, roomier = _memory_reasons(problem)
    if fewest_stages(roomier) > 1:
        _, split = least_loss_split(roomier)
        found += _accuracy_reasons(problem, tuple(sorted({cut for cut in split if 0 < cut < layers})))
    return found + memory


def _accuracy_reasons(problem: Problem, cuts: tuple[int, ...]) -> list[Reason]:
    """At most one reason; the cuts are those of a split that loses least."""
    compression = problem.compression
    if compression.loss_budget is None:
        if usable_settings(problem) or not cuts:
            return []
        best = max(compression.settings, key=lambda s: s.accuracy)
        sentence = (
            f"no compression setting reaches the accuracy floor {compression.accuracy_min:g}; "
            f"the best is {best.name} with {best.accuracy:g}"
        )
        change = f"lower accuracy_min to {_decimal(best.accuracy, math.floor)}, or offer a setting that reaches it"
        return [Reason("accuracy", "compression.accuracy_min", sentence, change)]
    at = problem.losses()[:, np.array(cuts, dtype=int) - 1]
    if in_units(at.min(axis=0)).sum() <= limit_units(compression.loss_budget, problem.most_cuts):
        return []
    least = float(at.min(axis=0).sum())
    names = dict.fromkeys(compression.settings[q].name for q in at.argmin(axis=0))
    sentence = (
        f"{_plural(len(cuts), 'cut loses', 'cuts lose')} at least {least:g} of accuracy with {', '.join(names)}, "
        f"more than the budget {compression.loss_budget:g}"
    )
    change = f"raise loss_budget to {_decimal(least, math.ceil)}, or offer a setting that loses less"
    return [Reason("accuracy", "compression.loss_budget", sentence, change)]


def _decimal(accuracy: float, rounded: Callable[[float], int]) -> str:
    slack = 1e-3 if rounded is math.floor else -1e-3
    return f"{rounded(accuracy * 1e6 + slack) / 1e6:.6f}".rstrip("0").rstrip(".")


def _memory_reasons(problem: Problem) -> tuple[list[Reason], Problem]:
    """At most one reason, the satellite that, if its memory alone grew, would need the least more; and the problem
    with that much more.

    If no single satellite can save the chain, the reason is the one that lacks most when what is lacking is
    spread as evenly as contiguous stages allow.
    """
    count, layers = len(problem.satellites), problem.model.layers
    ahead: list[NDArray[np.float64]] = [np.full(layers + 1, np.inf)]
    ahead[0][0] = 0.0
    for k in range(count):
        ahead.append(np.maximum(ahead[-1][:, None], _lack(problem, k)).min(axis=0))
    spread = float(ahead[-1][-1])
    if spread == 0:
        return [], problem
    behind: list[NDArray[np.float64]] = [np.full(layers + 1, np.inf)]
    behind[0][-1] = 0.0
    for k in reversed(range(count)):
        behind.insert(0, np.maximum(behind[0][None, :], _lack(problem, k)).min(axis=1))
    alone = []
    for k in range(count):
        # Satellite k takes over where those before it can stop, and stops where those behind it can go on.
        stages = np.where((ahead[k] == 0)[:, None] & (behind[k + 1] == 0), _lack(problem, k), np.inf)
        start, stop = divmod(int(np.argmin(stages)), layers + 1)
        alone.append((float(stages[start, stop]), k, start, stop))
    lack, k, start, stop = min(alone)
    if math.isfinite(lack):
        reason = _memory_reason(problem, k, start, stop, f"give {problem.satellites[k].name}", lack)
        return [reason], _roomier(problem, lack, only=k)
    _, k, start, stop = max(_least_spread(problem, ahead))
    return [_memory_reason(problem, k, start, stop, "give every satellite", spread)], _roomier(problem, spread)


def _roomier(problem: Problem, bytes_more: float, only: int | None = None) -> Problem:
    """One satellite, or all, with so many more bytes."""
    satellites = [
        replace(s, memory_bytes=min(s.memory_bytes + math.ceil(bytes_more), LARGEST)) if only in (None, k) else s
        for k, s in enumerate(problem.satellites)
    ]
    return replace(problem, satellites=satellites)


def _lack(problem: Problem, k: int) -> NDArray[np.float64]:
    """(L+1, L+1) bytes satellite k lacks for layers start+1..stop; inf where it may not have that stage."""
    satellite, held = problem.satellites[k], memory_before(problem)
    lack = held[None, :] - held[:, None] + satellite.memory_overhead_bytes - satellite.memory_bytes
    lack = np.where(np.tri(len(held), k=-1, dtype=bool), np.inf, np.maximum(lack, 0.0))
    if not satellite.may_relay:
        np.fill_diagonal(lack, np.inf)
    return lack


def _least_spread(problem: Problem, ahead: list[NDArray[np.float64]]) -> list[tuple[float, int, int, int]]:
    """(lack, satellite, start, stop) of each stage of a split whose largest lack is least."""
    stop, stages = problem.model.layers, []
    for k in reversed(range(len(problem.satellites))):
        lack = _lack(problem, k)[:, stop]
        start = int(np.argmin(np.maximum(ahead[k], lack)))
        stages.append((float(lack[start]), k, start, stop))
        stop = start
    return stages


def _memory_reason(problem: Problem, k: int, start: int, stop: int, whom: str, lack: float) -> Reason:
    satellite = problem.satellites[k]
    needed = sum(problem.model.layer_memory_bytes[start:stop]) + satellite.memory_overhead_bytes
    if start == stop:
        held = f"even to relay it needs {_bytes(needed)}"
    else:
        blocks = f"block {stop}" if stop == start + 1 else f"blocks {start + 1} to {stop}"
        overhead = " with its overhead" if satellite.memory_overhead_bytes else ""
        held = f"it would have to hold {blocks}, {_bytes(needed)}{overhead},"
    sentence = (
        f"memory is too small for any split: at best {satellite.name} "
        f"{held.removeprefix('it ')} and may use {_bytes(satellite.memory_bytes)}"
    )
    return Reason("memory", satellite.name, sentence, f"{whom} {_bytes(lack)} more memory")


def _bytes(count: float) -> str:
    return f"{math.ceil(count):,} byte{'' if count == 1 else 's'}"


def _plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
