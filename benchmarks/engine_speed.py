"""Engines side by side on the shipped model: python benchmarks/engine_speed.py

A satellite's own process is started with each engine in turn: how long until it is active, having run blocks of its
model at its own speed; and, with a quarter of the blocks loaded and batches run, the memory that is its alone. Then, in
one process, the compute of a batch of ten tiles through all blocks on one thread, both engines in turn, with timm's own
model beside them. Medians.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from satllm_ros.assets.paths import DEMO, checkpoint_path
from satllm_ros.model.engines.choice import ONNX, TORCH, EngineRequest, choose_engine
from satllm_ros.model.spec import ModelSpec, read_spec

BATCH_TILES, BATCHES = 10, 5
KINDS = (TORCH, ONNX)
MB = 1e6


def private_bytes() -> int:
    """Memory of this process that its end would free, less DDS's segment in /dev/shm, which is for all to map."""
    total, counts = 0, True
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            counts = "/dev/shm/" not in line
        elif counts and words[0].startswith("Private_"):
            total += int(words[1]) * 1024
    return total


def satellite(started_s: float) -> int:
    """The process of a satellite: when it is active, it is given a plan, and says in a line of JSON how it is."""
    from satllm_ros.compression.wire.setting import Codec, CodecSetting
    from satllm_ros.nodes.satellite import main
    from satllm_ros.nodes.stage import StageNode
    from satllm_ros.protocol.identity import Epoch
    from satllm_ros.protocol.plan import Plan, Stage

    def work(node: StageNode, told: dict[str, float]) -> None:
        state = node._satellite_state
        submodels = state.submodels
        assert submodels is not None
        spec = submodels.spec
        stop = spec.blocks // 4
        raw = CodecSetting(Codec.RAW)
        stages = (Stage("sat1", 0, stop, raw), Stage("sat2", stop, spec.blocks, raw))
        state.take_proposal(Plan(Epoch(1, 1), "/planner", spec.model_id, "sensing", stages, "sat2").sealed())
        while state.newest is None:
            time.sleep(0.05)
        images = np.zeros((BATCH_TILES, spec.image_height, spec.image_width, 3), dtype=np.uint8)
        # An external stage has no `run`, and is not what is started here.
        run: Any = submodels
        for _ in range(BATCHES):
            run.run(0, stop, submodels.prepare_images(images), threading.Event())
        print(json.dumps({**told, "private_bytes": private_bytes()}), flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    activate = StageNode.activate

    def activate_and_work(node: StageNode) -> None:
        activate(node)
        told = {"active_s": time.monotonic() - started_s, "processor_s": time.process_time()}
        threading.Thread(target=work, args=(node, told), daemon=True).start()

    StageNode.activate = activate_and_work  # type: ignore[method-assign, assignment]
    return main()


def start(kind: str, bundle: Path, folder: Path) -> dict[str, float]:
    """What one life of a satellite says."""
    values = ["satellites:=[sat1,sat2]", f"state_directory:={folder}", f"bundle:={bundle}", f"engine:={kind}"]
    options = [word for value in values for word in ("-p", value)]
    command = [sys.executable, __file__, "--satellite", str(time.monotonic())]
    ended = subprocess.run(
        [*command, "--ros-args", "-r", "__ns:=/sat1", *options], capture_output=True, text=True, cwd=folder, timeout=300
    )
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"the satellite said nothing of itself: {ended.stderr[-2000:]}")
    told: dict[str, float] = json.loads(lines[-1])
    return told


def compute_s(spec: ModelSpec, bundle: Path, repeats: int) -> dict[str, float]:
    """Processor seconds of a batch through all blocks, by engine."""
    import torch

    from satllm_ros.model.checkpoints.checkpoint import load_model

    x = np.random.default_rng(0).standard_normal((BATCH_TILES, 3, spec.image_height, spec.image_width))
    images = x.astype(np.float32)
    runs: dict[str, Callable[[], object]] = {}
    for kind in KINDS:
        engine, _ = choose_engine(EngineRequest(kind), checkpoint_path(DEMO), spec, bundle=bundle, threads=1)
        engine.open()
        runs[kind] = partial(engine.load(0, spec.blocks), images)
    model = load_model(checkpoint_path(DEMO))

    @torch.inference_mode()
    def timm_alone() -> object:
        return model(torch.from_numpy(images))

    runs["timm"] = timm_alone
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            begin_s = time.thread_time()
            run()
            taken[name].append(time.thread_time() - begin_s)
    return {name: median(seconds[1:]) for name, seconds in taken.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lives", type=int, default=3, help="lives of a satellite with each engine")
    parser.add_argument("--repeats", type=int, default=30, help="batches through each engine")
    arguments = parser.parse_args()
    from satllm_ros.model.export.write import export_bundle

    checkpoint = checkpoint_path(DEMO)
    spec = read_spec(checkpoint)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = folder / "bundle"
        export_bundle(checkpoint, spec, bundle, lambda: None)
        lives: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
        for _ in range(arguments.lives):
            for kind in KINDS:
                lives[kind].append(start(kind, bundle, Path(tempfile.mkdtemp(dir=folder))))
        computed = compute_s(spec, bundle, arguments.repeats)
    print("| engine | until active | of it on a processor | private memory | a batch, on a processor | of timm's |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, seconds in computed.items():
        told = lives.get(name, [])
        active = f"{median(life['active_s'] for life in told):.1f} s" if told else ""
        memory = f"{median(life['private_bytes'] for life in told) / MB:.0f} MB" if told else ""
        processor = f"{median(life['processor_s'] for life in told):.1f} s" if told else ""
        print(f"| {name} | {active} | {processor} | {memory} | {seconds:.3f} s | {seconds / computed['timm']:.2f} |")
    print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--satellite"]:
        sys.exit(satellite(float(sys.argv[2])))
    sys.exit(main())
