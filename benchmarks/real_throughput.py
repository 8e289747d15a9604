"""Tiles a second of a real line, nothing emulated, beside the bare engine's: python benchmarks/real_throughput.py

Two identical satellites of one thread each share this computer. *Flown*: `satllm up` as shipped, real processes over
DDS with sensing, planner, ground and recorder beside them; the rate at which predictions are written at the ground,
after the first fifth of them. *Bare*: two processes that do nothing but run half of the blocks each on a batch that is
there already, at the same time; the slower one sets the line's pace. Both take turns, and the ratio is of neighbors.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier as BarrierType

SATELLITES = ("sat1", "sat2")
BATCH_TILES = 10
SETTLED = 0.2
BARE_S = 10.0


@dataclass(frozen=True)
class Row:
    """One pair of runs: rates [tile/s], the flown split, and the makespan [s] with what was predicted of it."""

    bare: float
    flown: float
    split: list[int]
    makespan_s: float
    predicted_s: float | None

    @property
    def ratio(self) -> float:
        return self.flown / self.bare


def run_blocks(start: int, stop: int, seconds: float, barrier: BarrierType, rates: multiprocessing.Queue) -> None:
    """Tiles a second of blocks (start, stop] in a process of its own, from when all are ready."""
    import torch

    from satllm_ros.assets.paths import DEMO, checkpoint_path
    from satllm_ros.model.spec import read_spec
    from satllm_ros.model.stage import load_stage

    torch.set_num_threads(1)
    checkpoint = checkpoint_path(DEMO)
    spec, stage = read_spec(checkpoint), load_stage(checkpoint, start, stop)
    shape = (spec.tokens, spec.width) if start else (3, spec.image_height, spec.image_width)
    x = torch.randn(BATCH_TILES, *shape, generator=torch.Generator().manual_seed(0))
    stage(x)
    barrier.wait()
    taken_s, end_s = [], time.monotonic() + seconds
    while time.monotonic() < end_s:
        begin_s = time.monotonic()
        stage(x)
        taken_s.append(time.monotonic() - begin_s)
    rates.put(len(taken_s) * BATCH_TILES / sum(taken_s))


def bare(blocks: int, seconds: float) -> float:
    """Tiles a second of the bare line, evenly split."""
    context = multiprocessing.get_context("spawn")
    barrier, rates = context.Barrier(len(SATELLITES)), context.Queue()
    cuts = [round(i * blocks / len(SATELLITES)) for i in range(len(SATELLITES) + 1)]
    workers = [
        context.Process(target=run_blocks, args=(start, stop, seconds, barrier, rates))
        for start, stop in zip(cuts, cuts[1:], strict=False)
    ]
    for worker in workers:
        worker.start()
    slowest = min(rates.get() for _ in workers)
    for worker in workers:
        worker.join()
    return slowest


def images(folder: Path, count: int) -> None:
    """Fill a folder with the shipped images, over and over."""
    from satllm_ros.assets.paths import DEMO, bag_path
    from satllm_ros.data.rosbag.bag import image_topic, read_messages
    from satllm_ros.data.rosbag.typestore import bag_typestore

    path = bag_path(DEMO)
    typestore = bag_typestore()
    shipped: list[bytes] = []
    for message in read_messages(path, [image_topic(path)]):
        fields: Any = typestore.deserialize_cdr(message.cdr, message.type_name)
        shipped.append(bytes(fields.data))
    for number in range(count):
        (folder / f"{number:06d}.jpg").write_bytes(shipped[number % len(shipped)])


def flown(config: Path, folder: Path) -> tuple[float, dict]:
    """Tiles a second at the ground, and the run's summary.

    Raises
    ------
    ValueError
        If the flight was not complete.
    """
    satllm = Path(sys.executable).parent / "satllm"
    with tempfile.TemporaryDirectory() as name:
        command = [
            str(word) for word in (satllm, "up", config, "--images", folder, "--run", name, "--reference", "none")
        ]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise ValueError(f"exit code {ended.returncode}\n{ended.stdout}\n{ended.stderr}")
        with (Path(name) / "results.csv").open(newline="") as file:
            grounded_s = sorted(float(row["grounded_s"]) for row in csv.DictReader(file))
        summary = json.loads((Path(name) / "summary.json").read_text())
    # A batch is written at one moment: from one batch's to another's.
    first = grounded_s[int(SETTLED * len(grounded_s))]
    later = sum(moment > first for moment in grounded_s)
    return later / (grounded_s[-1] - first), summary


def constellation() -> dict:
    """Two identical satellites, nothing emulated, links that are no limit."""
    link = {"rate_bps": 1.0e10, "propagation_s": 0.0}
    return {
        "model": {"checkpoint": "demo", "artefacts": "demo"},
        "source": {"kind": "bag", "path": "demo"},
        "batch_tiles": BATCH_TILES,
        "window_batches": 6,
        "upload_encoding": "jpeg",
        "codecs": ["klt:14"],
        "accuracy_floor": 0.0,
        "threads": 1,
        "emulate": {"compute": False, "links": False},
        "satellites": [{"name": name, "memory_bytes": 10**9, "block_s": 0.01} for name in SATELLITES],
        "links": {"upload": link, "isl": link, "s2g": link},
    }


def measure(tiles: int, repeats: int) -> list[Row]:
    """Pairs of a bare line and a flown one."""
    from satllm_ros.assets.paths import DEMO, checkpoint_path
    from satllm_ros.model.spec import read_spec

    blocks = read_spec(checkpoint_path(DEMO)).blocks
    rows = []
    with tempfile.TemporaryDirectory() as name:
        config, folder = Path(name) / "line.yaml", Path(name) / "images"
        config.write_text(yaml.safe_dump(constellation()))
        folder.mkdir()
        images(folder, tiles)
        for _ in range(repeats):
            bare_rate = bare(blocks, BARE_S)
            rate, summary = flown(config, folder)
            split = [satellite["stop"] - satellite["start"] for satellite in summary["satellites"]]
            makespan = summary["makespan_s"]
            rows.append(Row(bare_rate, rate, split, makespan["measured"], makespan["predicted_exact"]))
            print(f"bare {bare_rate:.1f}, flown {rate:.1f} tiles/s", file=sys.stderr, flush=True)
    return rows


def table(rows: list[Row]) -> str:
    """The rows and the median ratio, in Markdown."""
    lines = ["| bare, tiles/s | flown, tiles/s | ratio | split | makespan | predicted |", "|---|---|---|---|---|---|"]
    for row in rows:
        predicted = "unknown" if row.predicted_s is None else f"{row.predicted_s:.2f} s"
        if row.predicted_s is not None:
            predicted += f" ({row.predicted_s / row.makespan_s - 1:+.1%})"
        split = "-".join(map(str, row.split))
        lines.append(
            f"| {row.bare:.1f} | {row.flown:.1f} | {row.ratio:.3f} | {split} | {row.makespan_s:.2f} s | {predicted} |"
        )
    return "\n".join([*lines, "", f"median ratio {median(row.ratio for row in rows):.3f}, {os.cpu_count()} cores"])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=4000, help="tiles of one flight (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="pairs of runs (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    arguments = parser.parse_args()
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    rows = measure(arguments.tiles, arguments.repeats)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
