"""Plans as tables for people."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from satllm_ros.planning.problem.solution import Infeasible, Solution


def print_plan(solution: Solution) -> None:
    """What each satellite gets and what that costs."""
    table = Table()
    for header in ("satellite", "blocks", "compute s", "slack", "memory MB", "sends", "link s"):
        table.add_column(header, justify="left" if header in ("satellite", "sends") else "right")
    sends = [f"{name} ({ratio:.3g})" for name, ratio in zip(solution.settings, solution.ratios, strict=True)]
    rows = zip(solution.stages, solution.satellites, [*sends, "to ground"], solution.link_s[1:], strict=True)
    for stage, load, sent, link_s in rows:
        _add(
            table,
            stage.satellite,
            f"{stage.start + 1}-{stage.stop}" if stage.stop > stage.start else "relay",
            f"{load.compute_s:.4g}",
            f"{load.slack:.0%}",
            f"{load.memory_bytes / 1e6:.4g} of {load.memory_budget_bytes / 1e6:.4g}",
            sent,
            f"{link_s:.4g}",
        )
    table.caption = "times of one batch; ratio = bytes sent / fp32 bytes"
    Console().print(table)


def print_comparison(outcome: Solution | Infeasible, others: list[dict[str, Any]]) -> None:
    """The plan beside what others would fly."""
    table = Table()
    for header in ("split", "delay s", "times the plan's", "blocks", "bottleneck"):
        table.add_column(header, justify="right" if header in ("delay s", "times the plan's") else "left")
    if isinstance(outcome, Solution):
        layers = " ".join(str(s.stop - s.start) for s in outcome.stages)
        _add(table, "this plan", f"{outcome.delay_s:.4g}", "1", layers, outcome.bottleneck.resource)
    for other in others:
        if not other["feasible"]:
            _add(table, other["name"], "-", "-", "-", other["reason"])
            continue
        ours_s = outcome.delay_s if isinstance(outcome, Solution) else 0.0
        _add(
            table,
            other["name"],
            f"{other['delay_s']:.4g}",
            f"{other['delay_s'] / ours_s:.4g}" if ours_s > 0 else "-",
            " ".join(map(str, other["layers"])),
            other["bottleneck"],
        )
    table.caption = f"{outcome.objective} objective; single, two-part and ground only let the others relay"
    Console().print(table)


def _add(table: Table, *cells: str) -> None:
    # Names come from the file and must not be read as markup.
    table.add_row(*(Text(cell) for cell in cells))
