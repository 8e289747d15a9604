"""Held-out accuracy after each epoch of a training, with its codec in the loop and without: the figures behind Fig. 9.

python benchmarks/accuracy_per_epoch.py runs/train --data-name EuroSAT --out epochs.png
"""

import argparse
import csv
from pathlib import Path

import torch
from matplotlib.figure import Figure

from satllm_ros.training.train import METRICS, STATE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="output folders of satllm train")
    parser.add_argument("--data-name", required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    figure = Figure(figsize=(8, 4))
    axes = figure.subplots()
    recipes = []
    for run in args.runs:
        recipe = torch.load(run / STATE, weights_only=True)["recipe"]
        with (run / METRICS).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        epochs = [int(row["epoch"]) for row in rows]
        name = recipe["compress"] or "no codec"
        for column, line in (("held_out_accuracy", "-"), ("held_out_accuracy_uncompressed", "--")):
            if line == "--" and recipe["compress"] is None:
                continue
            label = f"{name} in the loop, coded" if line == "-" else f"{name} in the loop, uncompressed"
            values = [100 * float(row[column]) for row in rows]
            axes.plot(epochs, values, line, marker="o", label=label if recipe["compress"] else name)
        recipes.append(recipe)
    first = recipes[0]
    axes.set(xlabel="epoch", ylabel="held-out accuracy [%]")
    axes.set_title(
        f"{first['architecture']} {first['arguments']}, {args.data_name}, n = {first['held_out_images']}, "
        f"seed {first['seed']}",
        fontsize=9,
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(args.out, dpi=130, bbox_inches="tight")


if __name__ == "__main__":
    main()
