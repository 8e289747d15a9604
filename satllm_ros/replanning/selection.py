"""Which of the satellites at hand fly: whoever slows the line down, or cannot hold its part, is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from satllm_ros.planning.problem.problem import Problem
from satllm_ros.planning.problem.solution import Infeasible, Solution
from satllm_ros.planning.solver.solve import solve
from satllm_ros.replanning.flight import FlightFacts, SatelliteFacts, flight_problem

# Least share of the delay that must be saved before a satellite that could fly is left out: below it, what is measured
# jitters, and one more satellite means less memory and work for each.
LEAST_SAVING = 0.1


def best_selection(facts: FlightFacts) -> tuple[Problem, Solution | Infeasible]:
    """Split the model over the satellites, or over fewer where all together cannot fly or would be a tenth slower.

    Satellites are left out one at a time, each time the one whose absence helps most. A setting below the accuracy
    floor is never chosen instead.

    Returns
    -------
    problem, outcome
        The problem of those that fly, and its solution; where nothing flies, the problem of all and its reasons.
    """
    whole = found = _solved(facts, facts.satellites)
    selected = list(facts.satellites)
    while len(selected) > 1:
        without = [[other for other in selected if other is not left_out] for left_out in selected]
        tried = [(rest, _solved(facts, rest)) for rest in without]
        feasible = [(outcome.delay_s, i) for i, (_, (_, outcome)) in enumerate(tried) if isinstance(outcome, Solution)]
        if feasible:
            delay_s, i = min(feasible)
            if isinstance(found[1], Solution) and delay_s >= found[1].delay_s * (1 - LEAST_SAVING):
                break
            selected, found = tried[i]
        elif isinstance(found[1], Solution):
            break
        else:
            # Not one alone is in the way: the smallest is the likeliest to be.
            selected.remove(min(selected, key=lambda s: s.memory_bytes))
    return found if isinstance(found[1], Solution) else whole


def _solved(facts: FlightFacts, selected: Sequence[SatelliteFacts]) -> tuple[Problem, Solution | Infeasible]:
    problem = flight_problem(replace(facts, satellites=selected))
    return problem, solve(problem)
