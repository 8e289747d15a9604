"""`results.csv`: a row per tile that came down."""

import csv
from pathlib import Path

from satllm_ros.report.record import RunRecord
from satllm_ros.report.tiles import unique_tiles

COLUMNS = (
    "source_id",
    "frame",
    "tile_index",
    "label",
    "class_name",
    "truth",
    "reference",
    "acquired_s",
    "grounded_s",
    "delay_s",
    "copies",
)


def write_results_csv(run: RunRecord, path: Path) -> None:
    """Write one row per tile, in order of acquisition.

    `label`, `truth` and `reference` are class numbers, counted from 0 in the order of the model's classes;
    an unknown one is empty, and so is the name of a class the model does not name. Times are in seconds.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for tile in unique_tiles(run):
            key = (tile.frame, tile.tile_index)
            writer.writerow(
                (
                    tile.source_id,
                    tile.frame,
                    tile.tile_index,
                    tile.label,
                    run.classes[tile.label] if 0 <= tile.label < len(run.classes) else "",
                    run.truth.get(key, ""),
                    run.reference.get(key, ""),
                    f"{tile.acquired_s:.6f}",
                    f"{tile.grounded_s:.6f}",
                    f"{tile.grounded_s - tile.acquired_s:.6f}",
                    tile.copies,
                )
            )
