"""The table of `make hosts`: kept as JSON between runs, printed, and written into docs/reliability.md."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from hosts.catalogue import SCENARIOS
from hosts.result import Result

HEADINGS = (
    *("scenario", "tiles", "lost", "twice", "predicted", "measured", "on the wire / payload", "control a host"),
    *("dropped by queues", "longest silence", "recovery", "verdict"),
)


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
    return [
        result.scenario,
        *(_number(count, ",") for count in (result.tiles, result.lost, result.twice)),
        *(_number(seconds, ".1f", " s") for seconds in (result.predicted_s, result.measured_s)),
        _number(result.wire_ratio, ".2f"),
        _number(result.control_kbps, ".0f", " kbit/s"),
        _number(result.dropped_packets, ","),
        *(_number(seconds, ".1f", " s") for seconds in (result.silence_s, result.recovery_s)),
        "passed" if result.passed else "FAILED: " + "; ".join(result.complaints),
    ]


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"


def line(result: Result) -> str:
    """One row in words."""
    pairs = zip(HEADINGS[1:], cells(result)[1:], strict=True)
    return "; ".join(f"{heading}: {cell}" for heading, cell in pairs if cell)


def markdown(results: Iterable[Result]) -> str:
    """The table for the documentation."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|" + "---:|" * 10 + "---|"]
    return "\n".join([*lines, *("| " + " | ".join(cells(result)) + " |" for result in results)])
