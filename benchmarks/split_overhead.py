"""What running blocks through a stage costs over calling timm's blocks directly.

Both run the same blocks of the same checkpoint on the same input, in turn, each going first every other time,
so that a machine that slows down slows both. One thread computes, and its own processor time is taken: other
programs on the machine disturb it less than wall time. The overhead is the median ratio of neighboring runs
less one.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from satllm_ros.assets.paths import DEMO_CHECKPOINT, asset
from satllm_ros.model.checkpoints.checkpoint import load_model, save_checkpoint
from satllm_ros.model.spec import read_spec
from satllm_ros.model.stage import load_stage
from satllm_ros.model.structure import build

ALLOWED = 0.02
SECONDS_PER_ROW = 2.5
LEAST_PAIRS = 5
START, STOP = 4, 8


def random_eva(folder: Path) -> Path:
    """A model whose blocks receive rotary positions too, of the shipped model's size, with random weights."""
    architecture = "eva02_tiny_patch14_224"
    arguments = {"img_size": 64, "patch_size": 8, "num_classes": 10}
    path = folder / "eva02_tiny.safetensors"
    torch.manual_seed(0)
    classes = [f"class {index}" for index in range(10)]
    save_checkpoint(path, build(architecture, arguments), architecture, arguments, (0.5,) * 3, (0.25,) * 3, classes)
    return path


def seconds(run: Callable[[], object]) -> float:
    """Processor time of one run [s]."""
    begin_s = time.thread_time()
    run()
    return time.thread_time() - begin_s


def compare(checkpoint: Path, tiles: int) -> tuple[float, float, float]:
    """Median time of the blocks called directly [s], through a stage [s], and the median ratio less one."""
    spec = read_spec(checkpoint)
    stage = load_stage(checkpoint, START, STOP)
    # What a model of timm has of these is nowhere stated.
    model: Any = load_model(checkpoint).requires_grad_(False)
    blocks = list(model.blocks[START:STOP])
    extra = {"rope": model.rope.get_embed()} if getattr(model, "rope", None) is not None else {}
    x = torch.randn(tiles, spec.tokens, spec.width, generator=torch.Generator().manual_seed(0))

    @torch.inference_mode()
    def direct() -> torch.Tensor:
        y = x
        for block in blocks:
            y = block(y, **extra)
        return y

    def staged() -> torch.Tensor:
        return stage(x)

    if not torch.equal(direct(), staged()):
        raise SystemExit("a stage and the blocks called directly give different results")
    pairs: list[tuple[float, float]] = []
    end_s = time.perf_counter() + SECONDS_PER_ROW
    while len(pairs) < LEAST_PAIRS or time.perf_counter() < end_s:
        if len(pairs) % 2:
            staged_s, direct_s = seconds(staged), seconds(direct)
        else:
            direct_s, staged_s = seconds(direct), seconds(staged)
        pairs.append((direct_s, staged_s))
    direct_median_s, staged_median_s = (statistics.median(times) for times in zip(*pairs, strict=True))
    return direct_median_s, staged_median_s, statistics.median(s / d for d, s in pairs) - 1


def main() -> int:
    """Print the table; 1 if any overhead is above what is allowed."""
    torch.set_num_threads(1)
    worst = 0.0
    print(f"{'model':32} {'tiles':>5} {'direct [ms]':>12} {'stage [ms]':>12} {'overhead':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for checkpoint in (asset(DEMO_CHECKPOINT), random_eva(Path(folder))):
            for tiles in (1, 8, 32):
                direct_s, staged_s, overhead = compare(checkpoint, tiles)
                worst = max(worst, overhead)
                times = f"{1e3 * direct_s:12.3f} {1e3 * staged_s:12.3f}"
                print(f"{checkpoint.stem:32} {tiles:5} {times} {overhead:+9.2%}")
    print(f"blocks {START + 1} to {STOP}, one thread; worst overhead {worst:+.2%}, allowed {ALLOWED:.0%}")
    return int(worst > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
