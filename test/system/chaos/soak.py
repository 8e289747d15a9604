"""`make soak`: a long flight without faults, as fast as it goes; what grows, and by how much."""

import argparse
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from chaos.gauges import Gauge, gauge, shared_memory_bytes, slope
from chaos.judge import books_complaints
from chaos.run import DOCUMENT
from flight import Flight, constellation, started, up, write_constellation
from flown_table import machine, write_between
from observer import Observer
from rich.console import Console
from rich.table import Table
from satllm_ros.msg import Ledger
from tiny_material import CLASSES, encoded, picture, save_material

from satllm_ros import interfaces as graph
from satllm_ros.data.rosbag.bag_writer import LabelledFrame, write_bag

DEFAULT_BATCHES = 100_000
SAMPLES = 100
# The recorder keeps its last 100,000 records, four a batch: before they are full, its memory grows as it should.
WARM_UP_SHARE = 0.3
MOST_GROWTH_MB = 1.0
SLOPE_BATCHES = 10_000
PATIENCE_S = 600.0
NAMES = ("sat1", "sat2", "sat3", "sat4", "planner", "ground", "sensing")
PICTURES = 50
HEADINGS = ("process", "MB at warm-up", "MB at the end", "MB per 10,000 batches", "threads", "descriptors")


@dataclass
class Log:
    """Samples over batches delivered."""

    batches: list[int] = field(default_factory=list)
    shared_bytes: list[int] = field(default_factory=list)
    gauges: dict[str, list[Gauge]] = field(default_factory=lambda: {name: [] for name in NAMES})

    def take(self, batches: int, pids: dict[str, int]) -> None:
        """One sample of every process."""
        self.batches.append(batches)
        self.shared_bytes.append(shared_memory_bytes(list(pids.values())))
        for name, pid in pids.items():
            self.gauges[name].append(gauge(pid))

    def warm(self) -> int:
        """Place of the first sample after warm-up."""
        limit = WARM_UP_SHARE * self.batches[-1]
        return next(place for place, batches in enumerate(self.batches) if batches >= limit)


def fly(folder: Path, batches: int) -> tuple[Log, str, list[str]]:
    """One flight of so many batches of one tile; samples, what was counted, complaints."""
    material = save_material(folder, tiles=1)
    images = [encoded(picture(number)) for number in range(PICTURES)]
    bag = folder / "long_bag"
    print(f"writing a bag of {batches:,} images ...", flush=True)
    write_bag(
        bag,
        (
            LabelledFrame(images[n % PICTURES], n % len(CLASSES), CLASSES[n % len(CLASSES)], str(n))
            for n in range(batches)
        ),
    )
    content = constellation(
        material,
        (0.0,) * 4,
        emulate=False,
        batch_tiles=1,
        window_batches=16,
        codecs=["raw"],
        source={"kind": "bag", "path": str(bag)},
    )
    with started(up(write_constellation(folder, content)), folder) as flight, Observer(flight) as observer:
        return _watch(flight, observer, batches)


def _watch(flight: Flight, observer: Observer, batches: int) -> tuple[Log, str, list[str]]:
    log = Log()
    complaints: list[str] = []
    last: list[Ledger] = []

    def on_ledger(message: Ledger) -> None:
        last[:] = [message]
        complaints.extend(books_complaints([message])[: not complaints])

    observer.node.create_subscription(Ledger, observer.name(graph.LEDGER), on_ledger, 10)
    observer.until(lambda: last and last[0].delivered_tiles, "a first batch on the ground")
    pids = {name: flight.pids(f"/parameters/{name}.yaml")[0] for name in NAMES}
    start_s, first = time.monotonic(), last[0].delivered_tiles
    for sample in range(1, SAMPLES):
        wanted = batches * sample // SAMPLES
        observer.until(lambda: last[0].delivered_tiles >= wanted, f"{wanted} batches", patience_s=PATIENCE_S)  # noqa: B023
        log.take(last[0].delivered_tiles, pids)
        print(f"\r{last[0].delivered_tiles:,} of {batches:,} batches ", end="", flush=True)
    rate = (last[0].delivered_tiles - first) / (time.monotonic() - start_s)
    print()
    observer.until(
        lambda: flight.process.poll() is not None, "the end of the flight", graph_may_end=True, patience_s=PATIENCE_S
    )
    ledger = last[0]
    if flight.process.wait() != 0:
        complaints.append(f"exit code {flight.process.returncode}")
    if ledger.delivered_tiles + ledger.dropped_tiles != batches:
        complaints.append(f"{ledger.delivered_tiles} delivered and {ledger.dropped_tiles} dropped of {batches}")
    observer.close()
    if flight.pids() or flight.segments_left():
        complaints.append("processes or shared memory were left behind")
    counted = (
        f"{batches:,} batches sent = {ledger.delivered_tiles:,} delivered + {ledger.dropped_tiles:,} dropped, "
        f"{ledger.resent_batches:,} sent again, {rate:.0f} batches/s"
    )
    return log, counted, complaints


def rows(log: Log) -> tuple[list[list[str]], list[str]]:
    """Rows of the table, and what grew that must not."""
    warm, found, complaints = log.warm(), [], []
    for name, gauges in log.gauges.items():
        kept = gauges[warm:]
        growth_mb = slope(log.batches[warm:], [g.memory_bytes / 1e6 for g in kept]) * SLOPE_BATCHES
        ranges = []
        for what in ("threads", "descriptors"):
            values = [getattr(g, what) for g in kept]
            ranges.append(f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}")
            if values[-1] > values[0]:
                complaints.append(f"{name}: {what} grew from {values[0]} to {values[-1]}")
        if growth_mb >= MOST_GROWTH_MB:
            complaints.append(f"{name}: memory grows by {growth_mb:.2f} MB per {SLOPE_BATCHES:,} batches")
        memory = (f"{kept[0].memory_bytes / 1e6:.1f}", f"{kept[-1].memory_bytes / 1e6:.1f}", f"{growth_mb:+.2f}")
        found.append([name, *memory, *ranges])
    shared = [total / 1e6 for total in log.shared_bytes[warm:]]
    found.append(["shared memory of all", f"{shared[0]:.1f}", f"{shared[-1]:.1f}", "", "", ""])
    if shared[-1] > shared[0]:
        complaints.append(f"shared memory grew from {shared[0]:.1f} to {shared[-1]:.1f} MB")
    return found, complaints


def main() -> int:
    """Exit code 0 if every batch came down or was counted, and nothing grew."""
    parser = argparse.ArgumentParser(prog="make soak", description="A long flight; what grows, and by how much.")
    parser.add_argument("--batches", type=int, default=DEFAULT_BATCHES, metavar="N", help="batches of one tile")
    batches = parser.parse_args().batches
    if batches < 10 * SAMPLES:
        parser.error(f"--batches is {batches}; at least {10 * SAMPLES} are needed")
    # Ends as with Ctrl-C: the flight is ended with its block.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # No message leaves this computer.
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    with tempfile.TemporaryDirectory(prefix="satllm_soak_") as folder:
        log, counted, complaints = fly(Path(folder), batches)
    found, grown = rows(log)
    complaints += grown
    table = Table(*HEADINGS, title=counted)
    for row in found:
        table.add_row(*row)
    Console().print(table)
    verdict = "Passed." if not complaints else "FAILED: " + "; ".join(complaints) + "."
    print(verdict)
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|" + "---:|" * (len(HEADINGS) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in found]
    text = f"Flown on {machine()}, with `make soak`: {counted}. {verdict}\n\n" + "\n".join(lines)
    write_between(DOCUMENT, "soak", text)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
