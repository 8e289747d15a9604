"""The table of `make hosts`."""

from __future__ import annotations

from collections.abc import Iterable

import flown_table
from hosts.catalogue import SCENARIOS
from hosts.result import Result

HEADINGS = (
    *("scenario", "tiles", "lost", "twice", "predicted", "measured", "on the wire / payload", "control a host"),
    *("dropped by queues", "longest silence", "recovery", "verdict"),
)


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
    return flown_table.in_words(HEADINGS, cells(result))


def markdown(results: Iterable[Result], before: str) -> str:
    """The table for the documentation; see `flown_table.markdown`."""
    rule = "|---|" + "---:|" * 10 + "---|"
    return flown_table.markdown(HEADINGS, rule, map(cells, results), [s.name for s in SCENARIOS], before)
