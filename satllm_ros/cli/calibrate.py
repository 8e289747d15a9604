"""`satllm calibrate`: what it reads, writes and prints."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.model.stage import Stage
from satllm_ros.profiling.calibration import Batches, Model, Step, random_cascades, sweep


def run(arguments: argparse.Namespace) -> int:
    """`satllm calibrate`."""
    import yaml

    from satllm_ros.assets.paths import artefacts_path, checkpoint_path
    from satllm_ros.cli.pixel_arguments import pixel_rules
    from satllm_ros.compression.tables.artefacts import load_artefacts
    from satllm_ros.data.labelled.datasets import load_dataset
    from satllm_ros.model.spec import read_spec
    from satllm_ros.profiling.bar import progress
    from satllm_ros.profiling.device import device_name
    from satllm_ros.profiling.files import now_utc

    checkpoint = checkpoint_path(arguments.checkpoint)
    spec = read_spec(checkpoint)
    artefacts = load_artefacts(artefacts_path(arguments.artefacts), model_id=spec.model_id)
    settings = [CodecSetting.parse(name) for name in arguments.settings or artefacts.measurements]
    rules = pixel_rules(arguments).agreed_with(spec.pixels, str(checkpoint))
    dataset = load_dataset(arguments.data, arguments.split).with_pixels(rules)
    if not 1 <= arguments.images <= len(dataset):
        raise ValueError(f"--images {arguments.images}; allowed: 1 to the {len(dataset)} of split {arguments.split!r}")
    chosen = dataset.draw(arguments.images, arguments.seed)
    model = Model(_steps(checkpoint, spec.blocks), _batches(dataset, chosen, spec), artefacts)
    cascades = random_cascades(model.cuts, settings, arguments.cascades, arguments.seed)
    with progress("calibrate", 1 + len(settings) * (1 + len(model.cuts)) + len(cascades)) as tick:
        found = sweep(model, settings, cascades, tick)
    head = {
        "format": "satllm-calibration",
        "version": 1,
        "model_id": spec.model_id,
        "artefact_id": artefacts.artefact_id,
        "device": device_name(),
        "measured_at": now_utc(),
        "images": arguments.images,
    }
    path: Path = arguments.out / f"{spec.model_id}.calibration.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(head | found, sort_keys=False, default_flow_style=None, width=120))
    print(f"model {spec.model_id}, {arguments.images} images: {found['uncompressed']:.4f} without compression")
    for name, one in found["settings"].items():
        worst = min(one["by_cut"].items(), key=lambda pair: pair[1]["accuracy"])
        print(
            f"  {name}: {one['alike']['accuracy']:.4f} at ratio {one['alike']['ratio']:.3g} with all cuts alike; "
            f"one cut alone at worst {worst[1]['accuracy']:.4f} (cut {worst[0]})"
        )
    if found["additive_error"]:
        error = found["additive_error"]
        print(
            f"  losses of {len(cascades)} cascades against the sum of their cuts': {error['mean']:.2%} off on average, "
            f"{error['worst']:.2%} at worst"
        )
    print(f"written to {path}")
    return 0


def _steps(checkpoint: Path, blocks: int) -> list[Step]:
    import torch

    from satllm_ros.model.stage import load_stage

    stages = [load_stage(checkpoint, block - 1, block) for block in range(1, blocks + 1)]

    def step(stage: Stage, values: NDArray[Any]) -> NDArray[Any]:
        output: NDArray[np.float32] = stage(torch.from_numpy(values)).numpy()
        return output

    return [partial(step, stage) for stage in stages]


def _batches(dataset: Any, chosen: NDArray[np.intp], spec: Any, images: int = 32) -> Batches:
    from satllm_ros.model.stage import normalise

    def batches() -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        for first in range(0, len(chosen), images):
            batch = chosen[first : first + images]
            yield normalise(dataset.stack(batch), spec).numpy(), dataset.labels[batch]

    return batches
