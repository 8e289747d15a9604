"""`results.csv`: a row per tile that came down, documented in docs/results.md."""

import csv
from datetime import datetime, timedelta, timezone
from pathlib import Path

from satllm_ros.report.figures.tiles import Acquisitions, unique_tiles
from satllm_ros.report.printing.boxes import tile_box
from satllm_ros.report.record.record import FrameRecord, RunRecord, TileRecord

# Changes when a column goes or changes its meaning; a new one may come without.
FORMAT = 2
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
    "name",
    "frame_width",
    "frame_height",
    "tile_row",
    "tile_column",
    "x",
    "y",
    "width",
    "height",
    "stamp_utc",
    "arrival_utc",
    "model_id",
    "satellites",
    "plan_epoch",
    "plan_hash",
    "format",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def write_results_csv(run: RunRecord, path: Path) -> None:
    """Write one row per tile, in order of acquisition.

    `label`, `truth` and `reference` are class numbers, counted from 0 in the order of the model's classes; what is
    unknown is empty. Names ending in `_s` are in seconds, boxes in pixels.
    """
    acquisitions = Acquisitions(run)
    ways = {plan.epoch: ">".join(satellite for satellite, *_ in plan.stages) for plan in run.plans}
    # What a file name holds that is no Unicode is written as it is on the disk.
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for tile in unique_tiles(run):
            acquired_s, delay_s = acquisitions.of(tile), acquisitions.delay_s(tile)
            writer.writerow(
                (
                    *tile.key,
                    tile.label,
                    run.classes[tile.label] if 0 <= tile.label < len(run.classes) else "",
                    run.truth.get(tile.key, ""),
                    run.reference.get(tile.key, ""),
                    f"{acquired_s:.6f}" if acquired_s is not None else "",
                    f"{tile.grounded_s:.6f}",
                    f"{delay_s:.6f}" if delay_s is not None else "",
                    tile.copies,
                    *_place(run, tile, acquisitions.frame(tile)),
                    tile.model_id,
                    ways.get(tile.epoch, "") if tile.epoch else "",
                    f"{tile.epoch[0]}.{tile.epoch[1]}" if tile.epoch else "",
                    tile.plan_hash,
                    FORMAT,
                )
            )


def utc(time_ns: int | None) -> str:
    """ISO 8601 in UTC with nanoseconds; empty when there is none."""
    if time_ns is None:
        return ""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    try:
        return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
    except OverflowError:
        # A stamp beyond the year 9999.
        return ""


def _place(run: RunRecord, tile: TileRecord, frame: FrameRecord | None) -> tuple[object, ...]:
    if frame is None:
        return ("",) * 11
    box = tile_box(tile.tile_index, frame.height, frame.width, run.tile_height, run.tile_width)
    return (
        frame.name,
        frame.width or "",
        frame.height or "",
        *(box or ("",) * 4),
        *((run.tile_width, run.tile_height) if box else ("", "")),
        utc(frame.stamp_ns),
        utc(frame.arrival_ns),
    )
