"""`satllm evaluate`."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satllm_ros.assets.paths import DEMO, artefacts_path, checkpoint_path
from satllm_ros.cli.pixel_arguments import add_pixel_arguments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from satllm_ros.data.labelled.dataset import Dataset
    from satllm_ros.training.evaluation.coded import CodedResult


_HELD_OUT = "held-out"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `evaluate`."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a checkpoint's accuracy on a labelled data set, with or without compression",
        description="Accuracy of a checkpoint by class, with 95 percent intervals. With --codec the model is cut, each "
        "activation coded and decoded on its way, and the same images are run uncompressed: the loss is paired, and "
        "the bytes of each hop are those of whole frames.",
    )
    parser.add_argument("--checkpoint", default=DEMO, help="safetensors file (default: the shipped one)")
    parser.add_argument("--data", type=Path, required=True, help="Parquet file, or folder of class folders")
    parser.add_argument(
        "--split",
        default="test",
        help="split to take, all, or held-out: what `satllm train` leaves out of train (default: %(default)s)",
    )
    parser.add_argument("--limit", type=int, help="that many images only, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw (default: %(default)s)")
    parser.add_argument("--codec", metavar="SETTING", help="such as mask:0.2:6 or klt:14")
    parser.add_argument(
        "--artefacts", default=DEMO, help="the checkpoint's codec artefacts (default: the shipped ones)"
    )
    parser.add_argument("--cuts", type=int, nargs="+", metavar="CUT", help="where to cut (default: after every block)")
    parser.add_argument(
        "--batch-size", type=int, default=10, help="images a frame, with --codec (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="file for the result, with --codec")
    add_pixel_arguments(parser)
    parser.set_defaults(run=run_evaluate)


def run_evaluate(args: argparse.Namespace) -> int:
    """Run `evaluate`; returns the exit code."""
    import numpy as np
    from rich.console import Console

    from satllm_ros.cli.output import check_output
    from satllm_ros.cli.pixel_arguments import pixel_rules
    from satllm_ros.data.labelled.datasets import held_out_part, load_dataset, split_names
    from satllm_ros.model.spec import read_spec

    if args.codec is None and (args.json or args.cuts):
        raise ValueError("--cuts and --json need --codec")
    if args.json is not None:
        check_output(args.json)
    checkpoint = checkpoint_path(args.checkpoint)
    rules = pixel_rules(args).agreed_with(read_spec(checkpoint).pixels, str(checkpoint))
    if args.split == _HELD_OUT and _HELD_OUT not in split_names(args.data):
        dataset = load_dataset(args.data, "train")
        dataset = dataset.only(held_out_part(dataset.labels))
    else:
        dataset = load_dataset(args.data, args.split)
    dataset = dataset.with_pixels(rules)
    chosen: NDArray[np.int64] = np.arange(len(dataset))
    if args.limit is not None:
        if not 1 <= args.limit <= len(dataset):
            raise ValueError(f"--limit {args.limit} is not allowed; 1 to {len(dataset)} are, of split {args.split!r}")
        chosen = dataset.draw(args.limit, args.seed)
    run = _plain if args.codec is None else _coded
    return run(args, dataset, chosen, Console())


def _plain(args: argparse.Namespace, dataset: "Dataset", chosen: "NDArray[np.int64]", console: "Console") -> int:
    from rich.progress import Progress

    from satllm_ros.training.evaluation.evaluate import evaluate
    from satllm_ros.training.watch import accuracy_table

    checkpoint = checkpoint_path(args.checkpoint)
    dataset = dataset.only(chosen)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("classify", total=len(dataset))
        rows = evaluate(checkpoint, dataset, lambda images: progress.advance(task, images))
    console.print(accuracy_table(rows, f"{checkpoint.name}, split {args.split}"))
    console.print(f"accuracy of {rows[-1]}")
    return 0


def _coded(args: argparse.Namespace, dataset: "Dataset", chosen: "NDArray[np.int64]", console: "Console") -> int:
    from rich.progress import Progress

    from satllm_ros.compression.tables.artefacts import load_artefacts
    from satllm_ros.compression.wire.setting import CodecSetting
    from satllm_ros.model.spec import read_spec
    from satllm_ros.training.evaluation.coded import CodedModel, evaluate_coded

    if args.batch_size < 1:
        raise ValueError(f"--batch-size {args.batch_size} is not allowed; at least 1 is needed")
    setting = CodecSetting.parse(args.codec)
    checkpoint = checkpoint_path(args.checkpoint)
    artefacts = load_artefacts(artefacts_path(args.artefacts), model_id=read_spec(checkpoint).model_id)
    model = CodedModel(checkpoint, artefacts)
    cuts = args.cuts or list(range(1, model.spec.blocks))
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("classify", total=len(chosen))
        (found,) = evaluate_coded(
            model, dataset, chosen, [setting], cuts, args.batch_size, lambda images: progress.advance(task, images)
        )
    for line in _lines(found, str(setting)):
        console.print(line, highlight=False)
    if args.json is not None:
        head = {"model": model.spec.model_id, "artefacts": artefacts.artefact_id, "data": str(args.data)}
        rest = {"split": args.split, "seed": args.seed, "codec": str(setting), "batch_size": args.batch_size}
        args.json.write_text(json.dumps({**head, **rest, **_figures(found)}, indent=2) + "\n", encoding="utf-8")
    return 0


def _lines(found: "CodedResult", setting: str) -> list[str]:
    paired = found.paired
    low, high = (100 * share for share in paired.interval)
    least, most = (100 * share for share in paired.difference_interval)
    lines = [
        f"{setting}: {100 * paired.accuracy:.2f} % of {paired.n:,} images (95 % interval {low:.2f}-{high:.2f})",
        f"uncompressed: {100 * paired.accuracy_reference:.2f} %; difference {100 * paired.difference:+.2f} points "
        f"(95 % interval {least:+.2f} to {most:+.2f}; {paired.gained} images gained, {paired.lost} lost, "
        f"McNemar p {paired.mcnemar:.2g})",
    ]
    for hop in found.hops:
        lines.append(f"cut {hop.cut}: {hop.wire_bytes / paired.n:,.0f} bytes an image, {hop.ratio:.1f}x")
    return lines


def _figures(found: "CodedResult") -> dict[str, Any]:
    paired = found.paired
    return {
        "n": paired.n,
        "accuracy": paired.accuracy,
        "interval": list(paired.interval),
        "accuracy_reference": paired.accuracy_reference,
        "difference": paired.difference,
        "difference_interval": list(paired.difference_interval),
        "gained": paired.gained,
        "lost": paired.lost,
        "mcnemar_p": paired.mcnemar,
        "hops": [{"cut": hop.cut, "ratio": hop.ratio, "wire_bytes": hop.wire_bytes} for hop in found.hops],
    }
