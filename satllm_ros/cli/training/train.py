"""`satllm train`."""

import argparse
import json
from pathlib import Path
from typing import Any

from satllm_ros.cli.pixel_arguments import add_pixel_arguments

_ARCHITECTURE = "vit_tiny_patch16_224"
_ARGUMENTS = {"img_size": 64, "patch_size": 8}
_DATA_HELP = (
    "Parquet file, folder with train/ and test/ folders of class folders, or eurosat or resisc45 in the folder that "
    "holds it as published"
)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `train`."""
    trainer = subparsers.add_parser(
        "train",
        help="train a model on a labelled data set",
        description="Train a vision transformer on the train split, from random weights or further from a checkpoint "
        "(whose head is replaced where classes differ, and whose patches and positions are resampled where sizes do), "
        "with --compress while its activations are coded at cuts drawn at random. A part of the split is held "
        "out to choose the epoch; the test split is read once, at the end. Ctrl-C stops; --resume continues "
        "after the last whole epoch, in as many processes to the same result. Several processes train together under "
        "torchrun: `torchrun --nproc-per-node 2 --no-python satllm train ...`, both on the PATH.",
    )
    trainer.add_argument("--data", type=Path, required=True, help=_DATA_HELP)
    trainer.add_argument("--out", type=Path, required=True, help="folder for checkpoint, metrics and state")
    trainer.add_argument(
        "--init",
        type=Path,
        help="checkpoint to train further; it says architecture and arguments, unless --architecture says that it is a "
        "safetensors file of timm's",
    )
    trainer.add_argument(
        "--compress", metavar="CODEC", help="mask, to learn masks, or a setting such as klt:16, with --artefacts"
    )
    trainer.add_argument("--artefacts", type=Path, help="codec artefacts of the --init checkpoint")
    trainer.add_argument("--trained", choices=("all", "head"), default="all", help="head: with the layer norms, alone")
    trainer.add_argument(
        "--noise", choices=("logistic", "single"), default="logistic", help="single: one Gumbel draw, as printed"
    )
    trainer.add_argument("--architecture", help=f"timm model (default: that of --init, else {_ARCHITECTURE})")
    trainer.add_argument(
        "--model-args",
        nargs="*",
        type=_argument,
        metavar="NAME=VALUE",
        help="arguments of the timm model, instead of or besides those of --init (default without --init: "
        "img_size=64 patch_size=8)",
    )
    trainer.add_argument("--epochs", type=int, default=30, help="default: %(default)s")
    trainer.add_argument("--batch-size", type=int, default=128, help="default: %(default)s")
    trainer.add_argument("--lr", type=float, default=1e-3, help="peak learning rate (default: %(default)s)")
    trainer.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    trainer.add_argument("--limit", type=int, help="train on that many images only, besides those held out")
    trainer.add_argument("--resume", action="store_true", help="continue the training in the output folder")
    add_pixel_arguments(trainer)
    trainer.set_defaults(run=run_train)


def run_train(args: argparse.Namespace) -> int:
    """Run `train`; returns the exit code, 130 after Ctrl-C."""
    from rich.console import Console

    from satllm_ros.cli.pixel_arguments import pixel_rules
    from satllm_ros.compression.tables.artefacts import load_artefacts
    from satllm_ros.model.checkpoints.header import file_id
    from satllm_ros.model.spec import read_spec
    from satllm_ros.training.beginning import Start
    from satllm_ros.training.ranks import joined_ranks
    from satllm_ros.training.recipe import Recipe
    from satllm_ros.training.train import CHECKPOINT, MASKS, METRICS, train
    from satllm_ros.training.watch import ProgressBar, accuracy_table

    start, init, rules = None, None, pixel_rules(args)
    architecture, arguments = args.architecture or _ARCHITECTURE, _ARGUMENTS if args.model_args is None else {}
    if "num_classes" in dict(args.model_args or ()):
        raise ValueError("num_classes is not allowed in --model-args; the data set says how many there are")
    if args.init is None and args.artefacts is not None:
        raise ValueError("--artefacts need the checkpoint that they are of; give it with --init")
    if args.init is not None:
        # Opened here, so that a wrong path is named before the data set is read.
        init = file_id(args.init)
        spec = read_spec(args.init) if args.architecture is None else None
        start = Start(args.init, spec, load_artefacts(args.artefacts, model_id=init) if args.artefacts else None)
        if spec is not None:
            architecture, arguments = spec.architecture, spec.arguments
            # Trained further on other images, it may be told otherwise.
            rules = rules.filled_from(spec.pixels)
    recipe = Recipe(
        architecture=architecture,
        arguments={**arguments, **dict(args.model_args or ())},
        epochs=args.epochs,
        batch_size=args.batch_size,
        learning_rate=args.lr,
        seed=args.seed,
        limit=args.limit,
        init=init,
        compress=args.compress,
        artefacts=start.artefacts.artefact_id if start is not None and start.artefacts is not None else None,
        trained=args.trained,
        noise=args.noise,
        pixels=rules.to_json(),
    )
    console = Console()
    try:
        with joined_ranks() as ranks:
            console = Console(quiet=not ranks.is_first)
            with ProgressBar(console) as watch:
                rows = train(args.data, args.out, recipe, start=start, resume=args.resume, watch=watch, ranks=ranks)
    except KeyboardInterrupt:
        console.print(f"stopped; --resume continues {args.out} after its last whole epoch")
        return 130
    console.print(accuracy_table(rows, "test split"))
    console.print(f"test accuracy of {rows[-1]}")
    written = [args.out / name for name in (CHECKPOINT, MASKS, METRICS) if (args.out / name).exists()]
    console.print(f"wrote {', '.join(map(str, written))}")
    return 0


def _argument(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not (separator and name.isidentifier()):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
