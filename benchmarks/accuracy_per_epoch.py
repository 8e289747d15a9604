"""Held-out accuracy after each epoch of trainings, with the codec in the loop and without: the figures behind Fig. 9.

python benchmarks/accuracy_per_epoch.py runs/train --names "ViT-Tiny, EuroSAT, n = 2,000" --out epochs.png
"""

import argparse
import csv
from pathlib import Path

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from satllm_ros.training.train import METRICS, STATE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="output folders of satllm train")
    parser.add_argument("--names", nargs="+", required=True, help="model, data and number of held-out images of each")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if len(args.names) != len(args.runs):
        parser.error(f"--names has {len(args.names)} names for {len(args.runs)} runs")
    figure = Figure(figsize=(8, 5))
    axes = figure.subplots()
    for number, (run, name) in enumerate(zip(args.runs, args.names, strict=True)):
        recipe = torch.load(run / STATE, weights_only=True)["recipe"]
        with (run / METRICS).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        epochs, label = [int(row["epoch"]) for row in rows], f"{name}, seed {recipe['seed']}"
        for column, line in (("held_out_accuracy", "-"), ("held_out_accuracy_uncompressed", "--")):
            values = [100 * float(row[column]) for row in rows]
            what = f", {recipe['compress']} in the loop" if recipe["compress"] else ""
            axes.plot(epochs, values, line, color=f"C{number}", marker="o", label=label + what if line == "-" else None)
    axes.set(xlabel="epoch", ylabel="held-out accuracy [%]")
    axes.set_title("solid: each image coded at 0 to 5 random cuts; dashed: the same images uncompressed", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(args.out, dpi=130, bbox_inches="tight")


if __name__ == "__main__":
    main()
