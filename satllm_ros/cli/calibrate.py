"""`satllm calibrate`: what it reads, writes and prints."""

from __future__ import annotations

import argparse
from pathlib import Path

from satllm_ros.compression.calibration.cut_model import CutModel, labelled_batches
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.profiling.calibration import Trials, random_cascades, sweep

_BATCH_IMAGES = 32


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
    trials = Trials(
        CutModel.load(checkpoint), lambda: labelled_batches(dataset, spec, chosen, _BATCH_IMAGES), artefacts
    )
    cascades = random_cascades(trials.cuts, settings, arguments.cascades, arguments.seed)
    with progress("calibrate", 1 + len(settings) * (1 + len(trials.cuts)) + len(cascades)) as tick:
        found = sweep(trials, settings, cascades, tick)
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
