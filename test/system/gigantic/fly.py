"""One flight of a model over DDS, each satellite's process under a hard limit, and the logits that came down."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from flight import Flight, started, up, write_constellation
from gigantic.cargo import Cargo
from gigantic.limits import Limit, Limits, status_bytes
from gigantic.verdict import Row
from observer import Observer
from satllm_ros.msg import BatchTiming, Predictions

from satllm_ros import interfaces as graph
from satllm_ros.nodes.wire import conversions as convert

PATIENCE_S = 1800.0
# What an interpreter may have taken by the time it is limited; torch is imported long after.
LATEST_BYTES = 200_000_000


@dataclass
class Held:
    """A satellite's process under its limit."""

    pid: int
    limit: Limit
    resident_bytes: int = 0
    counted_bytes: int = 0

    def look(self) -> None:
        """Note the peaks so far; the last ones stand once it has ended."""
        try:
            self.resident_bytes = max(self.resident_bytes, status_bytes(self.pid).get("VmHWM", 0))
        except OSError:
            pass
        self.counted_bytes = max(self.counted_bytes, self.limit.peak_bytes())


@dataclass
class Flown:
    """What became of a flight; logits (E,) by frame, as often as they were heard."""

    exit_code: int
    rows: list[Row]
    output: str
    logits: dict[int, list[np.ndarray]] = field(default_factory=dict)


def constellation_of(cargo: Cargo, satellites: int, memory_bytes: int) -> dict[str, Any]:
    """Content of a constellation file: nothing is emulated, and activations travel as they are."""
    link = {"rate_bps": 1.0e9, "propagation_s": 0.0}
    return {
        "model": {"checkpoint": str(cargo.checkpoint), "artefacts": str(cargo.artefacts)},
        "source": {"kind": "folder", "path": str(cargo.images)},
        "batch_tiles": 1,
        "window_batches": satellites,
        "upload_encoding": "rgb8",
        "codecs": ["raw"],
        "accuracy_floor": 0.0,
        "threads": 1,
        "emulate": {"compute": False, "links": False},
        "satellites": [
            {"name": f"sat{number}", "memory_bytes": memory_bytes, "block_s": 0.1}
            for number in range(1, satellites + 1)
        ],
        "links": dict.fromkeys(("upload", "isl", "s2g"), link),
    }


def fly(
    cargo: Cargo,
    folder: Path,
    limits: Limits,
    *,
    satellites: int,
    memory_bytes: int,
    limit_bytes: int,
    before: Sequence[str] = (),
) -> Flown:
    """Fly the images through satellites that may hold `memory_bytes` of parameters each.

    Parameters
    ----------
    limits
        Put on each satellite's process as soon as it is there, of `limit_bytes`.
    before
        Words before the command, as `nice`.
    """
    folder.mkdir()
    config = write_constellation(folder, constellation_of(cargo, satellites, memory_bytes))
    names = [f"sat{number}" for number in range(1, satellites + 1)]
    with started([*before, *up(config)], folder) as flight:
        held = _hold(flight, names, limits)
        with Observer(flight) as observer:
            predictions: list[Predictions] = observer.hear(graph.PREDICTIONS_INBOX, graph.GROUND)
            timings: dict[str, list[BatchTiming]] = {name: observer.hear(graph.TIMING, name) for name in names}

            def has_ended() -> bool:
                for one in held.values():
                    one.look()
                return flight.process.poll() is not None

            observer.until(has_ended, "the end of the flight", graph_may_end=True, patience_s=PATIENCE_S)
        output = flight.output + flight.errors
        code = flight.process.returncode
    rows = [
        Row(
            name,
            blocks,
            sum(cargo.spec.layer_bytes[blocks[0] : blocks[1]]),
            held[name].resident_bytes,
            held[name].counted_bytes,
            limit_bytes,
            held[name].limit.kills(),
        )
        for name in names
        for blocks in sorted({(timing.start, timing.stop) for timing in timings[name]})
    ]
    flown = Flown(code, sorted(rows, key=lambda row: row.blocks), output)
    for message in predictions:
        logits = np.array(convert.predictions_logits(message, convert.envelope_from(message.envelope)), np.float32)
        for frame, one in zip(message.envelope.frames, logits, strict=True):
            flown.logits.setdefault(int(frame), []).append(one)
    return flown


def _hold(flight: Flight, names: Sequence[str], limits: Limits) -> dict[str, Held]:
    """Limit every satellite's process as soon as it is there, long before it holds anything."""
    held: dict[str, Held] = {}
    while len(held) < len(names):
        assert flight.process.poll() is None, f"the graph ended before its satellites were there\n{flight.story()}"
        for name in names:
            if name not in held and (pids := flight.pids(f"__ns:=/{name}")):
                held[name] = Held(pids[0], limits.hold(pids[0], name))
                taken = status_bytes(pids[0]).get("VmRSS", 0)
                assert taken < LATEST_BYTES, f"{name} held {taken:,} bytes already when it was limited"
    return held
