"""How much memory a process needs for so many blocks: M(l) measured, and the line through it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from satllm_ros.profiling.files import MemoryLine, MemoryPoint


def measure_memory(
    checkpoint: Path, blocks: Sequence[int], batch_tiles: int, tick: Callable[[], None] = lambda: None
) -> list[MemoryPoint]:
    """Peak memory of fresh processes with blocks (0, l], above what one needs that has only imported torch.

    Raises
    ------
    ChildProcessError
        If a process fails; the message has its last line.
    """
    points = []
    for count in blocks:
        points.append(MemoryPoint(count, _measure(checkpoint, count, batch_tiles)))
        tick()
    return points


def fit_line(points: Sequence[MemoryPoint]) -> MemoryLine:
    """The least-squares line; with one point, or points of one size, through it without overhead."""
    count = np.array([p.blocks for p in points], dtype=float)
    held = np.array([p.bytes for p in points], dtype=float)
    if len(set(count)) < 2:
        return MemoryLine(0.0, float(held.mean() / count[0]), float(np.abs(held - held.mean()).max()))
    per_block, overhead = np.polyfit(count, held, 1)
    error = np.abs(held - (overhead + per_block * count)).max()
    return MemoryLine(float(overhead), float(per_block), float(error))


def _measure(checkpoint: Path, blocks: int, batch_tiles: int) -> int:
    words = [
        sys.executable,
        "-m",
        "satllm_ros.profiling.measure_memory",
        str(checkpoint),
        str(blocks),
        str(batch_tiles),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ChildProcessError(f"measuring the memory of {blocks} blocks failed: {last}")
    return int(json.loads(done.stdout)["bytes"])


def _peak_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status states no VmHWM; memory can only be measured on Linux")


def main(checkpoint: Path, blocks: int, batch_tiles: int) -> None:
    """The process that is measured."""
    import torch

    from satllm_ros.model.spec import read_spec
    from satllm_ros.model.stage import load_stage

    torch.set_num_threads(1)
    spec = read_spec(checkpoint)
    # What torch allocates for its first operation belongs to no block.
    torch.nn.functional.linear(torch.ones(8, 8), torch.ones(8, 8))
    before = _peak_bytes()
    load_stage(checkpoint, 0, blocks)(torch.zeros(batch_tiles, 3, spec.image_height, spec.image_width))
    print(json.dumps({"bytes": _peak_bytes() - before}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
