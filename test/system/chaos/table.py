"""The table of results: kept as JSON between runs, printed, and written into docs/reliability.md."""

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from chaos.catalogue import SCENARIOS
from chaos.judge import Result
from rich.console import Console
from rich.table import Table

HEADINGS = (
    *("scenario", "tiles", "lost", "twice", "wrong", "copies", "sent again", "plans", "recovery (bound)"),
    *("what was seen", "verdict"),
)
LEAST_WIDTH = 200


def keep(path: Path, result: Result) -> None:
    """Replace the row of this scenario in the file of results."""
    rows = json.loads(path.read_text()) if path.exists() else {}
    rows[result.scenario] = asdict(result)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1))


def kept(path: Path) -> list[Result]:
    """Rows of the file, in the order of the catalogue; those of scenarios that no longer exist are left out."""
    rows = json.loads(path.read_text()) if path.exists() else {}
    found = [rows[scenario.name] for scenario in SCENARIOS if scenario.name in rows]
    return [Result(**row | {"complaints": tuple(row["complaints"])}) for row in found]


def cells(result: Result) -> list[str]:
    """One row as text."""
    recovery = "" if result.recovery_s is None else f"{result.recovery_s:.1f} s"
    bound = "" if result.bound_s is None else f" ({result.bound_s:.1f} s)"
    counts = (result.tiles, result.lost, result.twice, result.wrong, result.suppressed, result.sent_again, result.plans)
    verdict = "passed" if result.passed else "FAILED: " + "; ".join(result.complaints)
    return [
        result.scenario,
        *("" if count is None else f"{count:,}" for count in counts),
        recovery + bound,
        result.note,
        verdict,
    ]


def show(results: Iterable[Result]) -> None:
    """Print the table, wide enough to be read even where the terminal is not."""
    table = Table(*HEADINGS)
    for result in results:
        table.add_row(*cells(result), style="" if result.passed else "bold red")
    console = Console()
    console.width = max(console.width, LEAST_WIDTH)
    console.print(table)


def line(result: Result) -> str:
    """One row in words."""
    return "; ".join(
        f"{heading}: {cell}" for heading, cell in zip(HEADINGS[1:], cells(result)[1:], strict=True) if cell
    )


def markdown(results: Iterable[Result], before: str) -> str:
    """The table for the documentation; of what was not flown here, the rows that stood there before."""
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in before.splitlines() if row.startswith("| ")}
    rows |= {result.scenario: "| " + " | ".join(cells(result)) + " |" for result in results}
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|" + "---:|" * 7 + "---|" * 3]
    return "\n".join([*lines, *(rows[scenario.name] for scenario in SCENARIOS if scenario.name in rows)])


def read_between(path: Path, marker: str) -> str:
    """What `write_between` wrote."""
    content = path.read_text(encoding="utf-8")
    return content.partition(f"<!-- {marker}: begin -->")[2].partition(f"<!-- {marker}: end -->")[0]


def write_between(path: Path, marker: str, text: str) -> None:
    """Replace what stands between `<!-- marker: begin -->` and `<!-- marker: end -->`.

    Raises
    ------
    ValueError
        If the file has not both of them.
    """
    begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
    content = path.read_text(encoding="utf-8")
    if begin not in content or end not in content:
        raise ValueError(f"{path} has no {begin} and {end}")
    before, rest = content.split(begin, 1)
    path.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}", encoding="utf-8")


def machine() -> str:
    """This computer in words."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores of {model}, {platform.system()}, Python {platform.python_version()}"
