"""`satllm calibrate-codec`."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satllm_ros.cli.pixel_arguments import add_pixel_arguments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from satllm_ros.compression.calibration.measure import Step
    from satllm_ros.model.stage import Stage

_BATCH_IMAGES = 32
_IMAGES, _MEASURE_IMAGES = 1500, 1000
_SETTINGS = (
    *("raw", "fp16", "int8", "topk", "randtopk", "mask", "mask:0.5:8", "mask_dynamic"),
    *("klt:8", "klt:12", "klt:14", "klt:16", "klt:18", "klt:20"),
)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `calibrate-codec`."""
    parser = subparsers.add_parser(
        "calibrate-codec",
        help="make the codec artefacts of a model",
        description="Run training images through a model and write the static scales, masks and transforms of the "
        "codecs for every cut, and what each setting costs. All satellites of a constellation need the same file, "
        "beside the checkpoint.",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="model, a safetensors file")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="Parquet file, or folder of class folders, possibly under train/ and test/",
    )
    parser.add_argument("--split", default="train", help="split to take, or all (default: %(default)s)")
    parser.add_argument(
        "--images", type=int, help=f"how many images to use (default: {_IMAGES}, of a small split three fifths)"
    )
    parser.add_argument(
        "--measure-images",
        type=int,
        help="how many others to measure each setting's accuracy and ratio on (default: "
        f"{_MEASURE_IMAGES}, of a small split the rest)",
    )
    parser.add_argument(
        "--settings", nargs="+", default=_SETTINGS, metavar="SETTING", help=f"which (default: {' '.join(_SETTINGS)})"
    )
    parser.add_argument(
        "--single-losses",
        action="store_true",
        help="also measure what each setting loses at each cut alone, which takes several times as long",
    )
    parser.add_argument("--masks", type=Path, help="masks that `satllm train --compress mask` learned for this model")
    parser.add_argument("--seed", type=int, default=0, help="seed of their choice (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    add_pixel_arguments(parser)
    parser.set_defaults(run=calibrate_codec)


def calibrate_codec(args: argparse.Namespace) -> int:
    """Run `calibrate-codec`; returns the exit code."""
    import numpy as np
    import torch

    from satllm_ros.cli.output import check_output
    from satllm_ros.cli.pixel_arguments import pixel_rules
    from satllm_ros.compression.calibration.calibrate import calibrate
    from satllm_ros.compression.calibration.calibrate_tables import calibrate_tables
    from satllm_ros.compression.calibration.measure import measure, measure_single_cuts
    from satllm_ros.compression.calibration.sensitivity import sensitivities
    from satllm_ros.compression.tables.artefacts import Artefacts, save_artefacts
    from satllm_ros.compression.tables.mask_file import load_masks, with_masks
    from satllm_ros.compression.wire.setting import CodecSetting
    from satllm_ros.data.labelled.datasets import load_dataset
    from satllm_ros.model.spec import read_spec
    from satllm_ros.model.stage import load_stage, normalise

    check_output(args.out)
    if args.seed < 0:
        raise ValueError(f"--seed {args.seed} is not allowed; it must not be negative")
    settings = [CodecSetting.parse(name) for name in args.settings]
    spec = read_spec(args.checkpoint)
    masks = None if args.masks is None else load_masks(args.masks, model_id=spec.model_id)
    rules = pixel_rules(args).agreed_with(spec.pixels, str(args.checkpoint))
    dataset = load_dataset(args.data, args.split).with_pixels(rules)
    images, measured = args.images, args.measure_images
    if images is None:
        images = min(_IMAGES, len(dataset) * 3 // 5 if measured is None else len(dataset) - measured)
    if measured is None:
        measured = min(_MEASURE_IMAGES, len(dataset) - images)
    if min(images, measured) < 1 or images + measured > len(dataset):
        raise ValueError(
            f"--images {images} and --measure-images {measured} must be positive and together at most "
            f"the {len(dataset)} images of split {args.split!r}"
        )
    chosen = np.random.default_rng(args.seed).permutation(len(dataset))[: images + measured]
    for_tables, for_accuracy = np.sort(chosen[:images]), np.sort(chosen[images:])
    stages = [load_stage(args.checkpoint, block - 1, block) for block in range(1, spec.blocks + 1)]
    steps = [_step(stage, torch) for stage in stages]

    def inputs(indices: "NDArray[np.int64]") -> "Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]":
        for first in range(0, len(indices), _BATCH_IMAGES):
            batch = indices[first : first + _BATCH_IMAGES]
            yield normalise(dataset.stack(batch), spec).numpy(), dataset.labels[batch]

    def activations() -> "Iterator[dict[int, NDArray[np.float32]]]":
        return (_at_cuts(steps, stack) for stack, _ in inputs(for_tables))

    scales = calibrate(activations(), spec.prefix_tokens)
    tensors = (torch.from_numpy(stack) for stack, _ in inputs(for_tables))
    found = sensitivities(args.checkpoint, tensors, spec.prefix_tokens, seed=args.seed)
    tables, coefficients = calibrate_tables(activations, found, spec.prefix_tokens)
    if masks is not None:
        tables = with_masks(tables, masks)
    artefacts = Artefacts(
        spec.model_id, spec.prefix_tokens, spec.width, scales, tables=tables, coefficients=coefficients
    )
    measurements = {str(s): measure(steps, inputs(for_accuracy), s, artefacts) for s in settings}
    by_cut = measure_single_cuts(steps, inputs(for_accuracy), settings, artefacts, losses=args.single_losses)
    measurements = {name: replace(found, by_cut=by_cut[name]) for name, found in measurements.items()}
    artefacts = replace(artefacts, measurements=measurements)
    save_artefacts(args.out, artefacts)
    print(
        f"{args.out}: artefacts {artefacts.artefact_id} of model {spec.model_id}, "
        f"cuts {min(scales)} to {max(scales)}, from {images} images"
    )
    if masks is None:
        print("  masks are from these images; with --masks they are those that satllm train --compress mask learned")
    for name, result in measurements.items():
        print(f"  {name}: accuracy {result.accuracy:.4f} on {measured} other images, {1 / result.ratio:.2f}x")
    return 0


def _step(stage: "Stage", torch: Any) -> "Step":
    return lambda values: stage(torch.from_numpy(values)).numpy()


def _at_cuts(steps: "list[Step]", images: "NDArray[np.float32]") -> "dict[int, NDArray[np.float32]]":
    """Activations at every cut, by cut."""
    batch = {}
    for cut, step in enumerate(steps[:-1], start=1):
        images = batch[cut] = step(images)
    return batch
