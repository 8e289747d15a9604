"""The table of `make chaos`."""

from collections.abc import Iterable

import flown_table
from chaos.catalogue import SCENARIOS
from chaos.judge import Result
from rich.console import Console
from rich.table import Table

HEADINGS = (
    *("scenario", "tiles", "lost", "twice", "wrong", "copies", "sent again", "plans", "recovery (bound)"),
    *("what was seen", "verdict"),
)
LEAST_WIDTH = 200


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
    return flown_table.in_words(HEADINGS, cells(result))


def markdown(results: Iterable[Result], before: str) -> str:
    """The table for the documentation; see `flown_table.markdown`."""
    rule = "|---|" + "---:|" * 7 + "---|" * 3
    return flown_table.markdown(HEADINGS, rule, map(cells, results), [s.name for s in SCENARIOS], before)
