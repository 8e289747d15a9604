"""Measured against predicted makespan of plans flown over DDS: python benchmarks/flown_makespan.py [--json FILE]

Each case is a constellation of its own, flown by `satllm up` as real processes with emulated compute times and links; the
planner chooses the split and the settings. Of the plan that was announced, both delay models are computed from the
constellation file alone, before anything of the flight's own times is known.

Measured: from the acquisition of the first tile to the last prediction written at the ground. Predicted by `exact`: from the
start of the first upload to the arrival of the last result; `paper`: Eq. 13a as printed, which leaves out the upload.
All batches are full, all are counted, none is left out as a warm-up. One flight at a time.
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

import yaml

from satllm_ros.planning.costs import tabulate
from satllm_ros.planning.flight import FlightFacts, LinkFacts, SatelliteFacts, flight_problem
from satllm_ros.planning.optimum import evaluate
from satllm_ros.planning.outcome import solution_of
from satllm_ros.planning.problem import Link
from satllm_ros.planning.solution import Solution

TILES = 500
BLOCKS = 12
# The first block of the shipped model, with the embedding, takes a little more than the others.
FIRST_BYTES, BLOCK_BYTES = 2.1e6, 1.8e6
# The announced prediction is made from the same figures.
AGREEMENT = 1e-3


@dataclass(frozen=True)
class Case:
    """One constellation.

    Attributes
    ----------
    block_ms
        For each satellite, time one tile takes in one block [ms].
    codecs
        Settings the planner may choose from.
    mbps
        Rates of the upload, of each inter-satellite link and of the link to the ground [Mbit/s].
    room
        Blocks that each satellite's memory holds.
    window
        Batches in flight: enough not to be what limits the line, which neither model knows of.
    """

    name: str
    block_ms: tuple[float, ...]
    codecs: tuple[str, ...]
    mbps: tuple[float, float, float] = (2.0, 2.0, 2.0)
    batch_tiles: int = 10
    room: tuple[int, ...] = ()
    propagation_s: float = 0.005
    upload: str = "jpeg"
    window: int = 8

    def constellation(self) -> dict[str, Any]:
        """Content of a constellation file."""
        room = self.room or (BLOCKS,) * len(self.block_ms)
        return {
            "model": {"checkpoint": "demo", "artefacts": "demo"},
            "source": {"kind": "bag", "path": "demo"},
            "batch_tiles": self.batch_tiles,
            "window_batches": self.window,
            "upload_encoding": self.upload,
            "codecs": list(self.codecs),
            "accuracy_floor": 0.0,
            "threads": 1,
            "emulate": {"compute": True, "links": True},
            "satellites": [
                {"name": f"sat{k}", "memory_bytes": int(FIRST_BYTES + (blocks - 1) * BLOCK_BYTES), "block_s": ms / 1e3}
                for k, (ms, blocks) in enumerate(zip(self.block_ms, room, strict=True), start=1)
            ],
            "links": {
                kind: {"rate_bps": rate * 1e6, "propagation_s": self.propagation_s}
                for kind, rate in zip(("upload", "isl", "s2g"), self.mbps, strict=True)
            },
        }


CASES = (
    Case("shipped constellation", (40, 25, 80, 40), ("klt:14", "int8", "raw"), window=6),
    Case("alone", (5,), ("klt:14",)),
    Case("two alike", (8, 8), ("int8",)),
    Case("slow links, raw", (6, 12), ("raw",), (2, 6, 2)),
    Case("three unlike", (10, 6, 15), ("klt:14", "int8", "raw")),
    Case("first has little memory", (5, 15, 15), ("int8",), room=(2, 12, 12)),
    Case("links and compute alike", (15, 15, 15, 15), ("fp16",), (2, 4, 2)),
    Case("five", (20, 30, 20, 30, 20), ("klt:18",)),
    Case("slow upload", (10, 10, 10), ("klt:12", "int8"), (0.5, 2, 2)),
    Case("slow links, mask", (8, 8), ("mask:0.5:8",), (2, 0.6, 2)),
    Case("slow downlink", (8, 8, 8), ("int8", "raw"), (2, 2, 0.01)),
    Case("far apart", (12, 12, 12, 12), ("klt:14",), propagation_s=0.15),
    Case("batches of 25", (10, 20, 10, 20), ("raw",), (4, 20, 2), batch_tiles=25),
    Case("pixels uploaded", (10, 10), ("raw", "int8"), (4, 20, 2), upload="rgb8"),
    Case("batches of 50", (15, 10, 20, 10, 15), ("topk:0.2:8",), (4, 4, 2), batch_tiles=50),
    Case("batches of 5", (12, 24, 12), ("klt:8",), batch_tiles=5),
)

Stages = Sequence[tuple[str, int, int, str]]


@dataclass(frozen=True)
class Row:
    """What one flight gave; times in s, errors as shares of the measured makespan.

    `ideal_s` is what a flow line without any friction would take with the stage times that this flight had: what separates it
    from `exact_s` are wrong times, what separates it from `measured_s` is friction. `processor` is the load of all satellites' real
    compute in cores, `load` the load average of the computer just before.
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
    announced_s: float
    ideal_s: float
    processor: float
    load: float


def predicted(facts: FlightFacts, stages: Stages) -> Solution:
    """The planner's own figures for a given plan; stages are (satellite, start, stop, setting), as announced.

    Raises
    ------
    ValueError
        If a setting is none that the facts offer.
    """
    by_name = {satellite.name: satellite for satellite in facts.satellites}
    crew = [by_name[name] for name, *_ in stages]
    names = {setting for *_, setting in stages[:-1]}
    offered = [setting for setting in facts.settings if setting.name in names]
    problem = flight_problem(FlightFacts(**{**vars(facts), "satellites": crew, "settings": offered or facts.settings}))
    costs = tabulate(problem)
    numbers = [setting.name for setting in costs.settings]
    chosen = [numbers.index(setting) for *_, setting in stages[:-1]]
    choice = evaluate(costs, [0, *(stop for _, _, stop, _ in stages)], chosen)
    return solution_of(problem, costs, choice, 0.0, proven=False)


def facts_of(path: Path) -> FlightFacts:
    """What a constellation file says; the size of an upload is that of the first frames, as sensing looks at them."""
    from satllm_ros.assets_path import artefacts_path, bag_path, checkpoint_path
    from satllm_ros.compression.artefacts import load_artefacts
    from satllm_ros.graph import load_constellation
    from satllm_ros.model.spec import read_spec
    from satllm_ros.nodes.frames import encoded_tiles, source_frames
    from satllm_ros.nodes.image_source import PEEKED_FRAMES
    from satllm_ros.planning.offered import offered_settings

    constellation = load_constellation(path)
    spec = read_spec(checkpoint_path(constellation.checkpoint))
    artefacts = load_artefacts(artefacts_path(constellation.artefacts), model_id=spec.model_id)
    frames = source_frames("bag", bag_path(constellation.source.path), None)
    jpeg = constellation.upload_encoding == "jpeg"
    sizes = [
        len(tile)
        for frame, _ in zip(frames, range(PEEKED_FRAMES), strict=False)
        for tile in encoded_tiles(frame, spec.image_height, spec.image_width, jpeg=jpeg)
    ]
    links = {kind: Link(link.rate_bps, link.propagation_s) for kind, link in constellation.links.items()}
    return FlightFacts(
        spec=spec,
        batches=TILES // constellation.batch_tiles,
        batch_tiles=constellation.batch_tiles,
        upload_tile_bytes=sum(sizes) / len(sizes),
        satellites=[SatelliteFacts(s.name, s.block_s, s.memory_bytes) for s in constellation.satellites],
        links=LinkFacts(**links),
        settings=offered_settings(artefacts, constellation.codecs),
        accuracy_floor=constellation.accuracy_floor,
    )


def row_of(case: Case, facts: FlightFacts, plans: Sequence[Stages], summary: dict[str, Any], load: float) -> Row:
    """Compare a flight with its plan.

    Raises
    ------
    ValueError
        If the flight lost a tile, or more than one plan flew: there is then no plan to compare it with. Or if the planner
        announced another makespan for its plan.
    """
    if not summary["complete"] or summary["tiles"]["sent"] != TILES or len(plans) != 1:
        raise ValueError(f"{case.name}: {summary['tiles']['received']} of {TILES} tiles under {len(plans)} plans")
    (stages,) = plans
    plan, makespan = predicted(facts, stages), summary["makespan_s"]
    exact_s, paper_s = plan.predicted.exact_s, plan.predicted.paper_s
    measured_s, announced_s = makespan["measured"], makespan["predicted_exact"]
    if abs(announced_s - exact_s) > AGREEMENT * exact_s:
        raise ValueError(f"{case.name}: the planner announced {announced_s:.3f} s, the file gives {exact_s:.3f} s")
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
        announced_s=announced_s,
        ideal_s=makespan["ideal"],
        processor=sum(s["utilisation_real"] or 0.0 for s in summary["satellites"]),
        load=load,
    )


def fly(case: Case) -> Row:
    """Fly one case in a DDS domain of its own, and end every process of it."""
    from flight import started, up, write_constellation

    from satllm_ros.report.store import load_run

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
        "| case | B | split | settings | upload, links, downlink [Mbit/s] | bottleneck | measured | `exact` | `paper` |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        settings = ", ".join(f"`{name}`" for name in dict.fromkeys(row.settings)) or "none"
        lines.append(
            f"| {row.case} | {row.batches} | {'-'.join(map(str, row.split))} | {settings} "
            f"| {', '.join(f'{rate:g}' for rate in row.mbps)} | {row.bottleneck} | {row.measured_s:.2f} s "
            f"| {row.exact_s:.2f} s ({row.exact_error:+.1%}) | {row.paper_s:.2f} s ({row.paper_error:+.1%}) |"
        )
    exact, paper = ([abs(e) for e in es] for es in zip(*((r.exact_error, r.paper_error) for r in rows), strict=True))
    lines += ["", f"Of {len(rows)} flights, size of the error:"]
    for name, errors in (("exact", exact), ("paper", paper)):
        lines.append(f"`{name}` median {median(errors):.2%}, worst {max(errors):.2%}.")
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
