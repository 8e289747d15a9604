"""`satllm calibrate-codec`."""

import argparse
from pathlib import Path

from satllm_ros.cli.pixel_arguments import add_pixel_arguments

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

    from satllm_ros.cli.output import check_output
    from satllm_ros.cli.pixel_arguments import pixel_rules
    from satllm_ros.compression.calibration.make_artefacts import make_artefacts
    from satllm_ros.compression.tables.artefacts import save_artefacts
    from satllm_ros.compression.tables.mask_file import load_masks
    from satllm_ros.compression.wire.setting import CodecSetting
    from satllm_ros.data.labelled.datasets import load_dataset
    from satllm_ros.model.spec import read_spec

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
    artefacts = make_artefacts(
        args.checkpoint,
        dataset,
        for_tables,
        for_accuracy,
        settings,
        masks=masks,
        single_losses=args.single_losses,
        seed=args.seed,
    )
    save_artefacts(args.out, artefacts)
    print(
        f"{args.out}: artefacts {artefacts.artefact_id} of model {spec.model_id}, "
        f"cuts {min(artefacts.scales)} to {max(artefacts.scales)}, from {images} images"
    )
    if masks is None:
        print("  masks are from these images; with --masks they are those that satllm train --compress mask learned")
    for name, result in artefacts.measurements.items():
        print(f"  {name}: accuracy {result.accuracy:.4f} on {measured} other images, {1 / result.ratio:.2f}x")
    return 0
