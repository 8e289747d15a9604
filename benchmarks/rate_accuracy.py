"""Bytes and accuracy of every codec, and of what one could do instead, on the same images, paired.

Instead of a codec: one bit an element by a Lloyd-Max quantizer of each channel, as of a normal variable of the spread
that the scales have (counted, not framed), or the tile
itself sent once more as JPEG or WebP of some quality, for a satellite that holds the whole model.

    python benchmarks/rate_accuracy.py --data eurosat_rgb.parquet --cuts 3 6 9 --out curves.csv
    python benchmarks/rate_accuracy.py --plot curves.csv --out curves.png
"""

import argparse
import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from coded_model import add_arguments, load
from PIL import Image

from satllm_ros.compression.calibration.cut_model import image_batches
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.data.labelled.dataset import Dataset
from satllm_ros.model.stage import normalize
from satllm_ros.training.evaluation.coded import CodedModel, evaluate_coded
from satllm_ros.training.evaluation.paired import PairedAccuracy, compare

SETTINGS = (
    *("int8", "topk:0.2:8", "topk:0.1:8", "topk:0.05:8"),
    *("mask:0.4:6", "mask:0.2:8", "mask:0.2:6", "mask:0.1:6", "mask:0.05:6", "mask:0.03:6", "mask:0.02:6"),
    *("klt:8", "klt:12", "klt:14", "klt:16", "klt:18", "klt:20", "klt:24"),
)
QUALITIES = (5, 10, 20, 40, 75, 90, 95)
# Mean of |x| of a normal variable of spread 1: where a one-bit quantizer puts its two levels.
_ONE_BIT_LEVEL = (2 / np.pi) ** 0.5
COLUMNS = (
    "model",
    "data",
    "n",
    "seed",
    "cuts",
    "way",
    "setting",
    "bytes_per_hop",
    "accuracy",
    "reference",
    "low",
    "high",
)


def coded_inputs(dataset: Dataset, chosen: np.ndarray, form: str, quality: int) -> tuple[np.ndarray, float]:
    """The chosen images after coding, uint8 (n, H, W, 3), and the mean size of the files [bytes]."""
    total, images = 0, []
    for image in dataset.stack(chosen):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, form, quality=quality)
        total += buffer.tell()
        images.append(np.array(Image.open(buffer).convert("RGB")))
    return np.stack(images), total / len(chosen)


def answer_coded_inputs(
    model: CodedModel, dataset: Dataset, chosen: np.ndarray, form: str, quality: int, batch: int
) -> tuple[np.ndarray, float]:
    images, size = coded_inputs(dataset, chosen, form, quality)
    answers = []
    for first in range(0, len(images), batch):
        inputs = normalize(images[first : first + batch], model.spec).numpy()
        answers.append(model.run(inputs, 0, model.spec.blocks).argmax(axis=1))
    return np.concatenate(answers), size


def one_bit(values: np.ndarray, mean: np.ndarray, std: np.ndarray, prefix_tokens: int) -> np.ndarray:
    """Patch tokens by the sign of their distance from each channel's mean; the others untouched."""
    patches = values[:, prefix_tokens:]
    rebuilt = mean + np.where(patches >= mean, std, -std) * np.float32(_ONE_BIT_LEVEL)
    return np.concatenate([values[:, :prefix_tokens], rebuilt.astype(np.float32)], axis=1)


def answer_one_bit(
    model: CodedModel, dataset: Dataset, chosen: np.ndarray, cuts: list[int], batch: int
) -> tuple[np.ndarray, float]:
    """Answers, and bytes: one bit an element, 16 an element of class and register tokens; scales are static."""
    spec, answers = model.spec, []
    for _, values in image_batches(dataset, spec, chosen, batch):
        done = 0
        for cut in cuts:
            scales = model.artefacts.scales_of(cut)
            # The tables keep the spread of each channel as eighths of it.
            values = one_bit(model.run(values, done, cut), scales.mean, 8 * scales.step, spec.prefix_tokens)
            done = cut
        answers.append(model.run(values, done, spec.blocks).argmax(axis=1))
    patches = spec.tokens - spec.prefix_tokens
    return np.concatenate(answers), spec.width * (patches / 8 + 2 * spec.prefix_tokens)


def rows(args: argparse.Namespace) -> Iterator[tuple[str, str, float, PairedAccuracy]]:
    """Way, setting, bytes an image and hop, accuracy."""
    model, dataset, chosen = args.model, args.dataset, args.chosen
    settings = [CodecSetting.parse(name) for name in args.settings]
    coded = evaluate_coded(model, dataset, chosen, settings, args.cuts, args.batch_size)
    for setting, found in zip(settings, coded, strict=True):
        yield setting.codec.name.lower(), str(setting), found.bytes_per_hop, found.paired
    if args.codecs_only:
        return
    labels = dataset.labels[chosen]
    reference = np.concatenate(
        [
            model.run(inputs, 0, model.spec.blocks).argmax(axis=1)
            for _, inputs in image_batches(dataset, model.spec, chosen, 100)
        ]
    )
    answers, size = answer_one_bit(model, dataset, chosen, args.cuts, 100)
    yield "one bit", "Lloyd-Max", size, compare(labels, answers, reference)
    for form in ("JPEG", "WEBP"):
        for quality in QUALITIES:
            answers, size = answer_coded_inputs(model, dataset, chosen, form, quality, 100)
            yield f"input as {form}", f"quality {quality}", size, compare(labels, answers, reference)


def plot(source: Path, out: Path) -> None:
    """Accuracy over bytes, a line for each way."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    with source.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    figure = Figure(figsize=(8, 5))
    axes = figure.subplots()
    for way in dict.fromkeys((row["model"], row["way"]) for row in found):
        points = sorted(
            (float(row["bytes_per_hop"]), 100 * float(row["accuracy"]))
            for row in found
            if (row["model"], row["way"]) == way
        )
        several = len({row["model"] for row in found}) > 1
        axes.plot(*zip(*points, strict=True), marker="o", label=f"{way[1]} ({way[0][:4]})" if several else way[1])
    first = found[0]
    axes.axhline(100 * float(first["reference"]), color="gray", linestyle="--", linewidth=1)
    axes.set(xscale="log", xlabel="bytes an image and hop", ylabel="accuracy [%]")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    models = ", ".join(dict.fromkeys(row["model"] for row in found))
    axes.set_title(
        f"{models}; {first['data']}, n = {first['n']}, seed {first['seed']}, cuts {first['cuts']}", fontsize=9
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(out, dpi=130, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, images=2000)
    parser.add_argument("--cuts", type=int, nargs="+", default=[3, 6, 9])
    parser.add_argument("--settings", nargs="+", default=SETTINGS)
    parser.add_argument("--codecs-only", action="store_true", help="leave out one bit, JPEG and WebP")
    parser.add_argument("--plot", type=Path, help="draw this CSV file instead of measuring")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.plot is not None:
        plot(args.plot, args.out)
        return
    args.model, args.dataset, args.chosen = load(parser, args)
    data = f"{args.data.stem} {args.split}"
    head = (args.model.spec.model_id, data, len(args.chosen), args.seed, " ".join(map(str, args.cuts)))
    with args.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for way, setting, size, paired in rows(args):
            figures = paired.accuracy, paired.accuracy_reference, *paired.difference_interval
            writer.writerow((*head, way, setting, round(size), *figures))
            file.flush()
            print(f"{way} {setting}: {size:.0f} bytes, {100 * paired.accuracy:.2f} %, {100 * paired.difference:+.2f}")


if __name__ == "__main__":
    main()
