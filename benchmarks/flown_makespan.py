"""Measured against predicted makespan of plans flown over DDS: python benchmarks/flown_makespan.py [--json FILE]

Each case is a constellation of its own, flown by `satllm up` as real processes with emulated compute times and links;
the planner chooses the split and the settings. Of the plan that was announced, both delay models are computed from the
constellation file and the images alone: nothing that this flight measured enters.

Measured: from the acquisition of the first tile to the last prediction written at the ground. Predicted by `exact`:
from the start of the first upload to the arrival of the last result; by `paper`: Eq. 13a as printed, which leaves out
the upload. All batches are full and all count, the first too. One flight at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from flown_cases import CASES, TILES, Case

from satllm_ros.planning.problem.problem import Link
from satllm_ros.planning.problem.solution import Solution
from satllm_ros.planning.solver.costs import tabulate
from satllm_ros.planning.solver.optimum import evaluate
from satllm_ros.planning.solver.outcome import solution_of
from satllm_ros.replanning.flight import FlightFacts, LinkFacts, SatelliteFacts, flight_problem

Stages = Sequence[tuple[str, int, int, str]]


@dataclass(frozen=True)
class Row:
    """What one flight gave; times in s, errors as shares of the measured makespan.

    Attributes
    ----------
    ratios, flown_ratios
        Wire bytes / fp32 bytes at each cut: as planned with, and of the messages that crossed.
    announced_s
        What the planner said of its plan, by `exact`; of the images it knew those that were read by then.
    ideal_s
        What a flow line without any friction takes with the stage times that this flight had: where it differs from
        `exact_s`, times were not as assumed; where from `measured_s`, there was friction.
    processor
        Real compute of all satellites, in cores.
    gaps
        What the recorder missed, in sentences; what needs it is then None.
    load
        Load average of the computer just before.
    """

    case: str
    batches: int
    split: list[int]
    settings: list[str]
    mbps: list[float]
    bottleneck: str
    measured_s: float
    exact_s: float
    paper_s: float
    exact_error: float
    paper_error: float
    announced_s: float | None
    ideal_s: float | None
    processor: float | None
    load: float
    ratios: list[float]
    flown_ratios: list[float]
    gaps: list[str]


def predicted(facts: FlightFacts, stages: Stages) -> Solution:
    """The planner's own figures for a given plan; stages are (satellite, start, stop, setting), as announced.

    Raises
    ------
    ValueError
        If a setting is none that the facts offer.
    """
    by_name = {satellite.name: satellite for satellite in facts.satellites}
    selected = [by_name[name] for name, *_ in stages]
    names = {setting for *_, setting in stages[:-1]}
    offered = [setting for setting in facts.settings if setting.name in names]
    problem = flight_problem(
        FlightFacts(**{**vars(facts), "satellites": selected, "settings": offered or facts.settings})
    )
    costs = tabulate(problem)
    numbers = [setting.name for setting in costs.settings]
    chosen = [numbers.index(setting) for *_, setting in stages[:-1]]
    choice = evaluate(costs, [0, *(stop for _, _, stop, _ in stages)], chosen)
    return solution_of(problem, costs, choice, 0.0, proven=False)


def facts_of(path: Path) -> FlightFacts:
    """What a constellation file and its images say."""
    from satllm_ros.assets.paths import artefacts_path, bag_path, checkpoint_path
    from satllm_ros.compression.tables.artefacts import load_artefacts
    from satllm_ros.constellation.file import load_constellation
    from satllm_ros.data.sources import take_manifest
    from satllm_ros.model.spec import read_spec
    from satllm_ros.nodes.images.frames import Frame, SourceKind, encoded_tiles, source_frames
    from satllm_ros.replanning.offered import offered_settings

    constellation = load_constellation(path)
    spec = read_spec(checkpoint_path(constellation.checkpoint))
    artefacts = load_artefacts(artefacts_path(constellation.artefacts), model_id=spec.model_id)
    bag = bag_path(constellation.source.path)
    frames = source_frames(SourceKind("bag", bag), take_manifest("bag", bag, ""))
    jpeg = constellation.upload_encoding == "jpeg"
    sizes = [
        len(tile)
        for frame in frames
        if isinstance(frame, Frame)
        for tile in encoded_tiles(frame, spec.image_height, spec.image_width, jpeg=jpeg)
    ]
    kinds = (constellation.links[kind] for kind in ("upload", "isl", "s2g"))
    upload, isl, s2g = (Link(link.rate_bps, link.propagation_s) for link in kinds)
    return FlightFacts(
        spec=spec,
        batches=TILES // constellation.batch_tiles,
        batch_tiles=constellation.batch_tiles,
        upload_tile_bytes=sum(sizes) / len(sizes),
        satellites=[SatelliteFacts(s.name, s.block_s, s.memory_bytes) for s in constellation.satellites],
        links=LinkFacts(upload, isl, s2g),
        settings=offered_settings(artefacts, constellation.codecs, spec.blocks),
        accuracy_floor=constellation.accuracy_floor,
    )


def row_of(case: Case, facts: FlightFacts, plans: Sequence[Stages], summary: dict[str, Any], load: float) -> Row:
    """Compare a flight with its plan.

    Raises
    ------
    ValueError
        If the flight lost a tile, or more than one plan flew: there is then no plan to compare it with.
    """
    if not summary["complete"] or summary["tiles"]["sent"] != TILES or len(plans) != 1:
        raise ValueError(f"{case.name}: {summary['tiles']['received']} of {TILES} tiles under {len(plans)} plans")
    (stages,) = plans
    plan, makespan = predicted(facts, stages), summary["makespan_s"]
    exact_s, paper_s = plan.predicted.exact_s, plan.predicted.paper_s
    measured_s = makespan["measured"]
    return Row(
        case=case.name,
        batches=facts.batches,
        split=[stop - start for _, start, stop, _ in stages],
        settings=[setting for *_, setting in stages[:-1]],
        mbps=list(case.mbps),
        bottleneck=plan.bottleneck.resource,
        measured_s=measured_s,
        exact_s=exact_s,
        paper_s=paper_s,
        exact_error=exact_s / measured_s - 1,
        paper_error=paper_s / measured_s - 1,
        announced_s=makespan["predicted_exact"],
        ideal_s=makespan["ideal"],
        processor=None if summary["gaps"] else sum(s["utilisation_real"] or 0.0 for s in summary["satellites"]),
        load=load,
        ratios=list(plan.ratios),
        flown_ratios=[hop["q"] for hop in summary["hops"]],
        gaps=summary["gaps"],
    )


def fly(case: Case) -> Row:
    """Fly one case in a DDS domain of its own, and end every process of it."""
    from flight import started, up, write_constellation

    from satllm_ros.report.record.store import load_run

    with tempfile.TemporaryDirectory() as name:
        path = write_constellation(Path(name), case.constellation())
        facts, load = facts_of(path), os.getloadavg()[0]
        with started(up(path), path.parent) as flight:
            code = flight.wait()
            if code:
                raise ValueError(f"{case.name}: exit code {code}\n{flight.story()}")
            run = load_run(flight.latest / "record")
            summary = json.loads((flight.latest / "summary.json").read_text())
    flown = {stage.epoch for stage in run.stages}
    return row_of(case, facts, [plan.stages for plan in run.plans if plan.epoch in flown], summary, load)


def table(rows: Sequence[Row], heading: str) -> str:
    """The rows and their medians, in Markdown."""
    lines = [
        heading,
        "",
        "| case | B | split | settings | Mbit/s | bottleneck | measured | `exact` | announced | `paper` |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        settings = ", ".join(f"`{name}`" for name in dict.fromkeys(row.settings)) or "none"
        figures = (row.exact_s, row.announced_s, row.paper_s)
        lines.append(
            f"| {row.case} | {row.batches} | {'-'.join(map(str, row.split))} | {settings} "
            f"| {', '.join(f'{rate:g}' for rate in row.mbps)} | {row.bottleneck} | {row.measured_s:.2f} s | "
            + " | ".join("unknown" if s is None else f"{s:.2f} s ({s / row.measured_s - 1:+.1%})" for s in figures)
            + " |"
        )
    lines += ["", f"Size of the error, {len(rows)} flights:"]
    for name, field in (("exact", "exact_s"), ("announced", "announced_s"), ("paper", "paper_s")):
        known = [(getattr(row, field), row.measured_s) for row in rows if getattr(row, field) is not None]
        if errors := [abs(predicted_s / measured_s - 1) for predicted_s, measured_s in known]:
            lines.append(f"{name}: median {median(errors):.2%}, worst {max(errors):.2%} of {len(errors)}")
    return "\n".join(lines)


def main() -> int:
    """Fly the cases and print the table; exit code 1 if a flight gave no row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    parser.add_argument("--only", nargs="+", metavar="CASE", choices=[c.name for c in CASES], help="fly these only")
    arguments = parser.parse_args()
    test = Path(__file__).resolve().parent.parent / "test"
    sys.path += [str(test), str(test / "system")]
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    rows, failed = [], 0
    for case in CASES:
        if arguments.only and case.name not in arguments.only:
            continue
        try:
            rows.append(fly(case))
        except (ValueError, AssertionError) as error:
            failed += 1
            print(error, file=sys.stderr, flush=True)
            continue
        done = rows[-1]
        print(f"{done.case}: {done.measured_s:.2f} s, predicted {done.exact_s:.2f} s", file=sys.stderr, flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    if rows:
        loads = [row.load for row in rows]
        print(table(rows, f"{os.cpu_count()} cores; load average before each flight {min(loads):.1f}-{max(loads):.1f}"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
