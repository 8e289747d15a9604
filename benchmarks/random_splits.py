"""Accuracy under many splits of one model: the figures behind Fig. 10, on the same images, paired.

Draws distinct sets of cuts for chains of 2 to 5 satellites, runs each over the same images and counts how many lose at
most a point against the uncompressed model. Splits that begin alike share their work.

    python benchmarks/random_splits.py --data eurosat_rgb.parquet --codec mask:0.2:6 --out splits.csv
    python benchmarks/random_splits.py --plot splits.csv --out splits.png
"""

import argparse
import csv
from dataclasses import dataclass, field
from math import comb
from pathlib import Path

import numpy as np
from coded_model import add_arguments, load

from satllm_ros.compression.calibration.cut_model import Hop, image_batches
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.training.evaluation.coded import CodedModel
from satllm_ros.training.evaluation.paired import compare

_MOST_CUTS = 4
_POINT = 0.01
COLUMNS = ("model", "data", "n", "seed", "codec", "cuts", "accuracy", "reference", "least_ratio")


@dataclass
class Node:
    """A set of cuts as the beginning of others: by cut, the sets that go on there."""

    cuts: tuple[int, ...]
    wanted: bool = False
    after: "dict[int, Node]" = field(default_factory=dict)
    hop: Hop = field(default_factory=lambda: Hop(0))
    answers: list[np.ndarray] = field(default_factory=list)


def draw_splits(blocks: int, count: int, seed: int) -> list[tuple[int, ...]]:
    """Distinct sets of 1 to 4 cuts, each number of cuts as likely where sets of it are left."""
    if not 1 <= count <= (possible := sum(comb(blocks - 1, cuts) for cuts in range(1, _MOST_CUTS + 1))):
        raise SystemExit(f"{count} splits are not possible; 1 to {possible} are, of {blocks} blocks")
    generator = np.random.default_rng(seed)
    found: set[tuple[int, ...]] = set()
    while len(found) < count:
        cuts = generator.choice(
            np.arange(1, blocks), size=generator.integers(1, min(_MOST_CUTS, blocks - 1) + 1), replace=False
        )
        found.add(tuple(sorted(int(cut) for cut in cuts)))
    return sorted(found)


def tree(splits: list[tuple[int, ...]]) -> Node:
    """All splits by what they begin with; the root is the uncompressed model."""
    root = Node((), wanted=True)
    for cuts in splits:
        node = root
        for cut in cuts:
            node = node.after.setdefault(cut, Node((*node.cuts, cut), hop=Hop(cut)))
        node.wanted = True
    return root


def walk(model: CodedModel, node: Node, values: np.ndarray, done: int, setting: CodecSetting) -> None:
    """Run every split below a node on a batch that has passed `done` blocks."""
    for cut in sorted(node.after):
        values, done = model.run(values, done, cut), cut
        following = node.after[cut]
        walk(model, following, following.hop.send(values, setting, model.artefacts), cut, setting)
    if node.wanted:
        node.answers.append(model.run(values, done, model.spec.blocks).argmax(axis=1))


def nodes(node: Node) -> list[Node]:
    """The node and all below it."""
    return [node, *(found for after in node.after.values() for found in nodes(after))]


def plot(source: Path, out: Path) -> None:
    """How often which accuracy: one value a split, beside the uncompressed model and a point below it."""
    from matplotlib.figure import Figure

    with source.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    first, accuracies = found[0], np.array([100 * float(row["accuracy"]) for row in found])
    reference = 100 * float(first["reference"])
    figure = Figure(figsize=(8, 4))
    axes = figure.subplots()
    axes.axvspan(reference - 1, reference, color="orange", alpha=0.2, label="within a point")
    axes.axvline(reference, color="green", linestyle="--", label=f"uncompressed, {reference:.2f} %")
    # One image is 100 / n points: bins are whole numbers of images.
    width = 100 / int(first["n"]) * 2
    bins = np.arange(accuracies.min() - width / 2, max(accuracies.max(), reference) + width, width)
    axes.hist(accuracies, bins=bins.tolist())
    axes.set(xlabel="accuracy [%]", ylabel="splits")
    axes.set_title(
        f"{len(found)} random splits, {first['codec']}; model {first['model']}, {first['data']}, n = {first['n']}, "
        f"seed {first['seed']}",
        fontsize=9,
    )
    axes.legend(fontsize=8)
    figure.savefig(out, dpi=130, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, images=2000)
    parser.add_argument("--codec", default="mask:0.2:6")
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--plot", type=Path, help="draw this CSV file instead of measuring")
    parser.add_argument("--out", type=Path, required=True, help="CSV file, one row a split; or the picture")
    args = parser.parse_args()
    if args.plot is not None:
        plot(args.plot, args.out)
        return
    setting = CodecSetting.parse(args.codec)
    model, dataset, chosen = load(parser, args)
    root = tree(draw_splits(model.spec.blocks, args.splits, args.seed))
    for number, (_, inputs) in enumerate(image_batches(dataset, model.spec, chosen, args.batch_size)):
        walk(model, root, inputs, 0, setting)
        if number % 20 == 0:
            print(f"{number * args.batch_size} images", flush=True)
    by_cuts = {node.cuts: node for node in nodes(root)}
    labels, reference = dataset.labels[chosen], np.concatenate(root.answers)
    rows = []
    for cuts, node in by_cuts.items():
        if node.wanted and cuts:
            paired = compare(labels, np.concatenate(node.answers), reference)
            hops = [by_cuts[cuts[: length + 1]].hop for length in range(len(cuts))]
            rows.append((" ".join(map(str, cuts)), paired.accuracy, paired.difference, min(hop.ratio for hop in hops)))
    head = (model.spec.model_id, f"{args.data.stem} {args.split}", len(chosen), args.seed, args.codec)
    with args.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for cuts_text, accuracy, difference, ratio in rows:
            writer.writerow((*head, cuts_text, accuracy, accuracy - difference, ratio))
    within = sum(row[2] >= -_POINT for row in rows)
    differences = [100 * row[2] for row in rows]
    print(
        f"model {model.spec.model_id}, {args.codec}, {len(chosen)} images of split {args.split}, seed {args.seed}: "
        f"uncompressed {100 * np.mean(reference == labels):.2f} %; {within} of {len(rows)} splits lose at most "
        f"a point; worst {min(differences):+.2f}, median {np.median(differences):+.2f} points; "
        f"every hop at least {min(row[3] for row in rows):.1f}x"
    )


if __name__ == "__main__":
    main()
