"""`satllm doctor`: the checks, as a table or as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from satllm_ros.checks.check import Level, Result
from satllm_ros.cli.output import add_json, write_json

# Of the shipped constellation on one computer.
PROCESSES = 8


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `satllm doctor`."""
    parser = subparsers.add_parser(
        "doctor",
        help="look whether this computer can fly a constellation",
        description=(
            "Run every check that `satllm up` and the launch files make before a flight, and the slow ones that they "
            "leave out, and say what to do. Exit code 0 if it can fly, 1 if not."
        ),
    )
    add_json(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from satllm_ros.checks.catalogue import results
    from satllm_ros.checks.check import Surroundings
    from satllm_ros.supervisor.child import child_environment

    found = results(Surroundings(child_environment(), processes=PROCESSES))
    flies = all(result.level is not Level.REFUSE for result in found)
    if not write_json(args.json, _document(found, flies)):
        print(_table(found))
        print("this computer can fly" if flies else "this computer cannot fly: mend what is refused above")
    return 0 if flies else 1


def _table(found: Sequence[Result]) -> str:
    width = max(len(result.check.name) for result in found)
    lines = []
    for result in found:
        lines.append(f"{result.level.value:<8}{result.check.name:<{width}}  {result.finding.found}")
        if result.level is not Level.OK:
            lines.append(f"{'':8}{'':{width}}  -> {result.check.remedy}")
    return "\n".join(lines)


def _document(found: Sequence[Result], flies: bool) -> dict[str, object]:
    checks = [
        {
            "name": result.check.name,
            "level": result.level.value,
            "found": result.finding.found,
            "remedy": "" if result.level is Level.OK else result.check.remedy,
            "cost": result.check.cost.value,
        }
        for result in found
    ]
    return {"flies": flies, "checks": checks}
