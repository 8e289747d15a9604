"""`satllm contacts`: when satellites pass over sites and see each other."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satllm_ros.cli.output import add_json, write_json

if TYPE_CHECKING:
    from satllm_ros.orbit.contacts import Geometry, Pass, Sight

# How many rows the table shows of each kind; the JSON has all.
_MOST_ROWS = 20
MAX_HOURS = 366 * 24.0
# The drag of days that nobody foresaw.
MAX_AGE_DAYS = 14


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `satllm contacts`."""
    parser = subparsers.add_parser(
        "contacts",
        help="when satellites pass over sites and see each other",
        description="Passes over every site and windows of inter-satellite links, in seconds from the epoch of a file "
        "with an orbit (docs/orbits.md).",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="constellation file, or one with orbit and sites alone")
    parser.add_argument("--hours", type=float, metavar="H", help="how long, in place of the file's duration")
    parser.add_argument(
        "--isl",
        choices=("all", "plane", "none"),
        default="all",
        help="which pairs of satellites: all, those of one plane, or none (default: %(default)s)",
    )
    add_json(parser)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw ground tracks and contacts (.png, .svg, .pdf)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Reckon and print.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read, or says what cannot be.
    """
    from satllm_ros.documents.yaml_file import read_yaml
    from satllm_ros.orbit.contacts import Geometry, passes, sights
    from satllm_ros.orbit.document import read_orbit

    content = read_yaml(arguments.file)
    orbit = read_orbit(content, arguments.file.parent, arguments.file.name)
    duration_s = orbit.duration_s
    if arguments.hours is not None:
        duration_s = 3600.0 * arguments.hours
        if not 0.0 < duration_s <= MAX_HOURS * 3600.0:
            raise ValueError(f"--hours is {arguments.hours:g}; a number above 0, at most {MAX_HOURS:g}, is needed")
    if arguments.isl == "plane" and orbit.walker is None:
        raise ValueError("--isl plane needs planes, which only a walker section has; allowed here are all and none")
    geometry = Geometry(orbit)
    _warn_of_age(geometry, duration_s)
    over = passes(geometry, duration_s)
    seen = [] if arguments.isl == "none" else sights(geometry, duration_s, within_planes=arguments.isl == "plane")
    if arguments.plot is not None:
        from satllm_ros.orbit.picture import draw

        draw(geometry, over, seen, duration_s).savefig(arguments.plot, dpi=120)
    if not write_json(arguments.json, _to_json(geometry, over, seen)):
        _print(geometry, over, seen, duration_s)
    return 0


def _warn_of_age(geometry: Geometry, duration_s: float) -> None:
    from satllm_ros.orbit.propagation import ElementSets

    if not isinstance(geometry.motion, ElementSets):
        return
    for element, age_days in zip(geometry.orbit.elements, geometry.motion.ages_days(), strict=True):
        farthest = max(abs(age_days), abs(age_days + duration_s / 86_400.0))
        if farthest > MAX_AGE_DAYS:
            print(
                f"satllm: warning: element set {element.name} is used {farthest:.0f} days from its own epoch; beyond "
                f"{MAX_AGE_DAYS} positions are wrong by kilometers",
                file=sys.stderr,
            )


def _to_json(geometry: Geometry, over: list[Pass], seen: list[Sight]) -> dict[str, Any]:
    members, motion = geometry.orbit.members, geometry.motion
    return {
        "passes": [{"index": row.index, "satellite": members.get(row.index)} | asdict(row) for row in over],
        "isl": [asdict(row) for row in seen],
        "orbit": {
            "period_s": motion.period_s,
            "semi_major_axis_m": motion.semi_major_axis_m,
            "node_drift_deg_per_day": math.degrees(motion.node_rate) * 86_400.0,
        },
    }


def _print(geometry: Geometry, over: list[Pass], seen: list[Sight], duration_s: float) -> None:
    from rich.console import Console
    from rich.table import Table

    console, orbit, motion = Console(), geometry.orbit, geometry.motion
    console.print(
        f"{orbit.satellites} satellites, {duration_s / 3600:g} h from {orbit.epoch:%Y-%m-%d %H:%M:%S} UTC, "
        f"{orbit.propagator.value}; period {motion.period_s / 60:.1f} min, semi-major axis "
        f"{motion.semi_major_axis_m / 1e3:.1f} km"
    )
    for site in orbit.sites:
        rows = [row for row in over if row.site == site.name]
        total_s = sum(row.set_s - row.rise_s for row in rows)
        console.print(
            f"{site.kind.value} {site.name}: {len(rows)} passes above {site.elevation_deg:g}°, {total_s / 60:.1f} min"
        )
    if over:
        table = Table("satellite", "site", r"rise \[s]", r"set \[s]", r"length \[s]", r"highest \[°]", title="Passes")
        for row in over[:_MOST_ROWS]:
            table.add_row(
                orbit.members.get(row.index, str(row.index)),
                row.site,
                f"{row.rise_s:.1f}",
                f"{row.set_s:.1f}",
                f"{row.set_s - row.rise_s:.1f}",
                f"{row.max_elevation_deg:.1f}",
            )
        console.print(table)
        _print_rest(console, len(over))
    if seen:
        table = Table("from", "to", r"start \[s]", r"stop \[s]", r"range \[km]", title="Inter-satellite links")
        for sight in seen[:_MOST_ROWS]:
            table.add_row(
                orbit.members.get(sight.from_index, str(sight.from_index)),
                orbit.members.get(sight.to_index, str(sight.to_index)),
                f"{sight.start_s:.1f}",
                f"{sight.stop_s:.1f}",
                f"{sight.range_min_m / 1e3:.0f} to {sight.range_max_m / 1e3:.0f}",
            )
        console.print(table)
        _print_rest(console, len(seen))


def _print_rest(console: Any, rows: int) -> None:
    if rows > _MOST_ROWS:
        console.print(f"and {rows - _MOST_ROWS} more; --json has all of them")
