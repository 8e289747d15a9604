"""`satllm link-budget`: what an optical inter-satellite link and a radio link to the ground carry."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from satllm_ros.cli.output import add_json, write_json


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `satllm link-budget`."""
    parser = subparsers.add_parser(
        "link-budget",
        help="rates of links from their power, antennas and range",
        description="What the links of a file's budget section carry, before any margin (docs/orbits.md).",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="constellation file, or a file with a budget alone")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Reckon and print.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read, or says what cannot be.
    """
    from satllm_ros.documents.yaml_file import read_yaml
    from satllm_ros.orbit.budget import optical_budget, radio_budget
    from satllm_ros.orbit.document import read_budget

    budget = read_budget(read_yaml(arguments.file), arguments.file.name)
    found: dict[str, Any] = {}
    if budget.isl is not None:
        found["isl"] = asdict(optical_budget(budget.isl))
    if budget.s2g is not None:
        found["s2g"] = [asdict(radio_budget(budget.s2g, range_m)) for range_m in budget.s2g.ranges_m]
    if not write_json(arguments.json, found):
        _print(found)
    return 0


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if isl := found.get("isl"):
        table = Table(title="Optical link")
        for head in (r"range \[km]", r"received \[dBm]", r"noise \[dBm]", r"SNR \[dB]", r"rate \[Gbit/s]"):
            table.add_column(head)
        table.add_row(
            f"{isl['range_m'] / 1e3:.0f}",
            f"{_dbm(isl['received_w']):.1f}",
            f"{_dbm(isl['noise_w']):.1f}",
            f"{isl['snr_db']:.1f}",
            f"{isl['rate_bps'] / 1e9:.3f}",
        )
        console.print(table)
    if rows := found.get("s2g"):
        table = Table(title="Link to the ground")
        for head in (r"range \[km]", r"path loss \[dB]", r"received \[dBm]", r"SNR \[dB]", r"rate \[Gbit/s]"):
            table.add_column(head)
        for row in rows:
            table.add_row(
                f"{row['range_m'] / 1e3:.0f}",
                f"{row['path_loss_db']:.1f}",
                f"{row['received_dbm']:.1f}",
                f"{row['snr_db']:.1f}",
                f"{row['rate_bps'] / 1e9:.3f}",
            )
        console.print(table)


def _dbm(watts: float) -> float:
    return 10.0 * math.log10(watts) + 30.0
