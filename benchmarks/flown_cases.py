"""The constellations that `flown_makespan.py` flies: other speeds, memories, settings, rates and batches each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TILES = 500
BLOCKS = 12
# The first block of the shipped model, with the embedding, takes a little more than the others.
FIRST_BYTES, BLOCK_BYTES = 2.1e6, 1.8e6


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
