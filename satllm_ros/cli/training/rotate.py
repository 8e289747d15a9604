"""`satllm rotate`."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from satllm_ros.cli.pixel_arguments import add_pixel_arguments

if TYPE_CHECKING:
    from torch import Tensor

_BATCH_IMAGES = 100
_IMAGES = 1000


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `rotate`."""
    parser = subparsers.add_parser(
        "rotate",
        help="turn a model's residual stream so that masks lose little",
        description="Write the same model in other axes: what its blocks pass on is gathered in few channels. Its "
        "answers remain the same, up to rounding; nothing is trained. Masks and top-k, which keep elements, gain; "
        "its codec artefacts must be made anew.",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="model, a safetensors file")
    parser.add_argument("--data", type=Path, required=True, help="Parquet file, or folder of class folders")
    parser.add_argument("--split", default="train", help="split to take, or all (default: %(default)s)")
    parser.add_argument("--images", type=int, help=f"how many, drawn at random (default: {_IMAGES}, or all)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    add_pixel_arguments(parser)
    parser.set_defaults(run=run_rotate)


def run_rotate(args: argparse.Namespace) -> int:
    """Run `rotate`; returns the exit code."""
    from satllm_ros.cli.output import check_output
    from satllm_ros.cli.pixel_arguments import pixel_rules
    from satllm_ros.data.labelled.datasets import load_dataset
    from satllm_ros.model.checkpoints.checkpoint import load_model, save_checkpoint
    from satllm_ros.model.checkpoints.header import pixels_metadata
    from satllm_ros.model.spec import read_spec
    from satllm_ros.model.stage import normalize
    from satllm_ros.training.compressed.rotate import check_turnable, principal_axes, rotate
    from satllm_ros.training.compressed.stream import observe_stream

    check_output(args.out)
    spec = read_spec(args.checkpoint)
    model = load_model(args.checkpoint)
    check_turnable(model)
    rules = pixel_rules(args).agreed_with(spec.pixels, str(args.checkpoint))
    dataset = load_dataset(args.data, args.split).with_pixels(rules)
    images = min(_IMAGES, len(dataset)) if args.images is None else args.images
    if not 1 <= images <= len(dataset):
        raise ValueError(f"--images {images} is not allowed; 1 to {len(dataset)} are, of split {args.split!r}")
    chosen = dataset.draw(images, args.seed)

    def batches() -> "Iterator[Tensor]":
        for first in range(0, len(chosen), _BATCH_IMAGES):
            yield normalize(dataset.stack(chosen[first : first + _BATCH_IMAGES]), spec)

    streams = observe_stream(args.checkpoint, batches, seed=args.seed)
    axes = principal_axes(
        [stream.covariance for stream in streams.values()],
        [stream.sensitivity.metric for stream in streams.values()],
    )
    rotate(model, axes)
    save_checkpoint(
        args.out,
        model,
        spec.architecture,
        spec.arguments,
        spec.mean,
        spec.std,
        spec.classes,
        pixels_metadata(spec.pixels),
    )
    print(f"{args.out}: model {read_spec(args.out).model_id}, {spec.model_id} in other axes, from {images} images")
    return 0
