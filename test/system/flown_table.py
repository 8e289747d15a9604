"""Tables of flights: rows kept as JSON between runs, and written into docs/reliability.md between two markers."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any


def keep(path: Path, result: Any) -> None:
    """Replace the row of this result's scenario in the file of results."""
    rows = json.loads(path.read_text()) if path.exists() else {}
    rows[result.scenario] = asdict(result)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1))


def kept(path: Path, names: Iterable[str]) -> list[dict[str, Any]]:
    """Rows of the file, as fields of a result, in the order of these names; others are left out."""
    rows = json.loads(path.read_text()) if path.exists() else {}
    return [rows[name] | {"complaints": tuple(rows[name]["complaints"])} for name in names if name in rows]


def in_words(headings: Sequence[str], cells: Sequence[str]) -> str:
    """One row in words, without its first cell, the name."""
    return "; ".join(f"{heading}: {cell}" for heading, cell in zip(headings[1:], cells[1:], strict=True) if cell)


def markdown(
    headings: Sequence[str], rule: str, rows: Iterable[Sequence[str]], names: Iterable[str], before: str
) -> str:
    """The table for the documentation, in the order of these names.

    Of what was not flown here, the rows that stood there before, `before` being what was between the markers.
    """
    written = {row.split(" | ")[0].removeprefix("| "): row for row in before.splitlines() if row.startswith("| ")}
    written |= {cells[0]: "| " + " | ".join(cells) + " |" for cells in rows}
    return "\n".join(["| " + " | ".join(headings) + " |", rule, *(written[name] for name in names if name in written)])


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
