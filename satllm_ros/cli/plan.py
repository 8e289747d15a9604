"""`satllm plan`: solve a planning problem given as a file."""

import argparse
import json
from pathlib import Path
from typing import Any

INFEASIBLE = 3


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `satllm plan`."""
    parser = subparsers.add_parser(
        "plan",
        help="find the fastest split and compression for a problem file",
        description="Find the split of a model over a chain of satellites, and the compression at each cut, "
        "with the least delay, proven. Exit code: 0 a plan, 3 no plan exists, 2 a malformed problem.",
    )
    parser.add_argument("--problem", type=Path, required=True, metavar="FILE.json", help="the problem")
    parser.add_argument(
        "--objective",
        choices=("exact", "paper"),
        default="exact",
        help="delay model: the exact makespan, or Eq. 13a/14 of the paper (default: exact)",
    )
    parser.add_argument("--json", action="store_true", help="print the solution as JSON")
    parser.add_argument(
        "--compare",
        action="store_true",
        help="also show simple splits (uniform, proportional to speed, one satellite, two parts, ground only) and, "
        "with --objective paper, the paper's own search in its four readings",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Solve and print.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the problem is malformed.
    """
    from satllm_ros.planning.explain import explain
    from satllm_ros.planning.problem.problem_json import load_problem
    from satllm_ros.planning.solver.solve import solve

    problem = load_problem(arguments.problem)
    outcome = solve(problem, arguments.objective)
    others = _others(problem, arguments.objective) if arguments.compare else []
    if arguments.json:
        print(json.dumps(outcome.to_json() | ({"compared": others} if arguments.compare else {}), indent=2))
    else:
        from satllm_ros.planning.tables import print_comparison, print_plan

        if outcome.feasible:
            print_plan(outcome)
        for line in explain(problem, outcome):
            print(line)
        if arguments.compare:
            print_comparison(outcome, others)
    return 0 if outcome.feasible else INFEASIBLE


def _others(problem: Any, objective: str) -> list[dict[str, Any]]:
    from satllm_ros.planning.paper.baselines import baselines
    from satllm_ros.planning.paper.paper_search import READINGS, search

    rows = [_row(one.name, one.solution, one.refusal) for one in baselines(problem, objective)]
    if objective == "paper":
        for reading in READINGS:
            name = f"paper's A* ({reading})"
            try:
                found = search(problem, reading)
            except ValueError as error:
                rows.append(_row(name, None, str(error)))
            else:
                rows.append(_row(name, found.solution, "no plan") | {"steps": len(found.steps)})
    return rows


def _row(name: str, solution: Any, refusal: str) -> dict[str, Any]:
    if solution is None:
        return {"name": name, "feasible": False, "reason": refusal}
    return {
        "name": name,
        "feasible": True,
        "delay_s": solution.delay_s,
        "predicted": {"exact_s": solution.predicted.exact_s, "paper_s": solution.predicted.paper_s},
        "layers": [stage.stop - stage.start for stage in solution.stages],
        "ratios": list(solution.ratios),
        "bottleneck": solution.bottleneck.resource,
    }
