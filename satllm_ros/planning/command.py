"""`satllm plan`: solve a planning problem given as a file."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from satllm_ros.planning.problem import Problem
    from satllm_ros.planning.solution import Solution

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
    parser.add_argument("--objective", choices=("exact",), default="exact", help="delay model (default: exact)")
    parser.add_argument("--json", action="store_true", help="print the solution as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Solve and print.

    Raises
    ------
    OSError
        If the file cannot be read.
    ProblemError
        If the problem is malformed.
    """
    from satllm_ros.planning.explain import explain
    from satllm_ros.planning.problem_json import load_problem
    from satllm_ros.planning.solve import solve

    problem = load_problem(arguments.problem)
    outcome = solve(problem, arguments.objective)
    if arguments.json:
        print(json.dumps(outcome.to_json(), indent=2))
    else:
        if outcome.feasible:
            _print_table(problem, outcome)
        for line in explain(problem, outcome):
            print(line)
    return 0 if outcome.feasible else INFEASIBLE


def _print_table(problem: "Problem", solution: "Solution") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for header in ("satellite", "blocks", "compute s", "slack", "memory MB", "sends", "link s"):
        table.add_column(header, justify="left" if header in ("satellite", "sends") else "right")
    sends = [f"{name} ({ratio:.3g})" for name, ratio in zip(solution.settings, solution.ratios, strict=True)]
    rows = zip(solution.stages, solution.satellites, [*sends, "to ground"], solution.link_s[1:], strict=True)
    for stage, load, sent, link_s in rows:
        cells = (
            stage.satellite,
            f"{stage.start + 1}-{stage.stop}",
            f"{load.compute_s:.4g}",
            f"{load.slack:.0%}",
            f"{load.memory_bytes / 1e6:.4g} of {load.memory_budget_bytes / 1e6:.4g}",
            sent,
            f"{link_s:.4g}",
        )
        # Names come from the file and must not be read as markup.
        table.add_row(*(Text(cell) for cell in cells))
    table.caption = "times of one batch; ratio = bytes sent / fp32 bytes"
    Console().print(table)
