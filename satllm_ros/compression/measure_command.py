"""`satllm measure-codec`: what settings cost on images that nothing was chosen by."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from satllm_ros.assets_path import artefacts_path, checkpoint_path

if TYPE_CHECKING:
    import numpy as np

_BATCH_IMAGES = 10


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `measure-codec`."""
    parser = subparsers.add_parser(
        "measure-codec",
        help="accuracy and real bytes of codec settings",
        description="Run images through a model cut into stages, with every activation coded and decoded on its way.",
    )
    parser.add_argument("--checkpoint", default="demo", help="model (default: the one shipped here)")
    parser.add_argument("--artefacts", default="demo", help="its codec artefacts (default: those shipped here)")
    parser.add_argument("--data", type=Path, required=True, help="Parquet file, or folder of class folders")
    parser.add_argument("--split", default="test", help="split to take, or all (default: %(default)s)")
    parser.add_argument("--images", type=int, default=1500, help="how many, drawn at random (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the draw (default: %(default)s)")
    parser.add_argument("--cuts", type=int, nargs="+", metavar="CUT", help="where to cut (default: after every block)")
    parser.add_argument("--settings", nargs="+", metavar="SETTING", required=True, help="such as raw int8 klt:16")
    parser.set_defaults(run=measure_codec)


def measure_codec(args: argparse.Namespace) -> int:
    """Run `measure-codec`; returns the exit code."""
    import numpy as np
    import torch

    from satllm_ros.compression.artefacts import load_artefacts
    from satllm_ros.compression.measure import measure
    from satllm_ros.compression.setting import CodecSetting
    from satllm_ros.data.datasets import load_dataset
    from satllm_ros.model.spec import read_spec
    from satllm_ros.model.stage import load_stage, normalise

    checkpoint = checkpoint_path(args.checkpoint)
    spec = read_spec(checkpoint)
    artefacts = load_artefacts(artefacts_path(args.artefacts), model_id=spec.model_id)
    settings = [CodecSetting.parse(name) for name in args.settings]
    dataset = load_dataset(args.data, args.split)
    if not 1 <= args.images <= len(dataset):
        raise ValueError(f"--images {args.images} is not allowed; split {args.split!r} has {len(dataset)}")
    cuts = args.cuts or list(range(1, spec.blocks))
    if sorted(set(cuts)) != cuts or not 1 <= cuts[0] <= cuts[-1] < spec.blocks:
        raise ValueError(f"--cuts {' '.join(map(str, cuts))} must ascend and lie within 1 to {spec.blocks - 1}")
    chosen = np.sort(np.random.default_rng(args.seed).permutation(len(dataset))[: args.images])
    stages = [load_stage(checkpoint, start, stop) for start, stop in zip([0, *cuts], [*cuts, spec.blocks], strict=True)]
    steps = [lambda values, stage=stage: stage(torch.from_numpy(values)).numpy() for stage in stages]

    def batches() -> "Iterator[tuple[np.ndarray, np.ndarray]]":
        for first in range(0, len(chosen), _BATCH_IMAGES):
            batch = chosen[first : first + _BATCH_IMAGES]
            yield normalise(dataset.stack(batch), spec).numpy(), dataset.labels[batch]

    fp32_bytes = 4 * spec.tokens * spec.width
    print(f"{args.images} images of split {args.split!r}, {len(cuts)} cuts: {' '.join(map(str, cuts))}")
    for setting in settings:
        found = measure(steps, batches(), setting, artefacts, cuts)
        size = f"{1 / found.ratio:.1f}x, {found.ratio * fp32_bytes:.0f} bytes an image and hop"
        speed = f"encode {1e-9 / found.encode_s_per_byte:.2f}, decode {1e-9 / found.decode_s_per_byte:.2f} GB/s"
        print(f"{setting!s:20} accuracy {found.accuracy:.4f}, {size}, {speed}", flush=True)
    return 0
