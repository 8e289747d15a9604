"""What a run writes, and what can be built again from it."""

import argparse
import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.cli import report as command
from satllm_ros.data.tiles import TileError, grid
from satllm_ros.report.printing import timeline
from satllm_ros.report.printing.boxes import tile_box
from satllm_ros.report.printing.results import COLUMNS, write_results_csv
from satllm_ros.report.record.record import RunRecord
from satllm_ros.report.record.store import StoreError, load_run, save_run
from satllm_ros.report.write import write_run


def test_a_saved_run_is_loaded_unchanged(run: RunRecord, tmp_path: Path) -> None:
    run.dropped = {"unreadable": 2}
    run.in_custody, run.gaps, run.older_tiles = {"stored at sat4, down": 3}, ("late",), 7
    run.truth["bag", 12345, 6] = 3
    run.audit = replace(run.audit, in_custody={"in window": 3}, dropped={"unreadable": 2}, lost=1)
    run.notes, run.frames[3] = ("no comparison",), replace(run.frames[3], stamp_ns=None, cause="unreadable_image")
    run.tiles[5] = replace(run.tiles[5], epoch=None, frame=2**64 - 1)
    run.stages[0] = replace(run.stages[0], boot_id=2**64 - 1)
    save_run(run, tmp_path)
    assert load_run(tmp_path) == run


def test_saving_again_replaces_the_record(run: RunRecord, tmp_path: Path) -> None:
    save_run(run, tmp_path)
    save_run(RunRecord(), tmp_path)
    assert load_run(tmp_path) == RunRecord()


def test_missing_record_names_the_directory(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"holds no recorded run: run\.json is missing"):
        load_run(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("file", "spoil", "complaint"),
    [
        (
            "run.json",
            lambda text: text.replace('"format": 3', '"format": 9'),
            "format is 9, this version reads 2 and 3",
        ),
        (
            "run.json",
            lambda text: text.replace('"tiles_per_batch": 16', '"tiles_per_batch": "x"'),
            "tiles_per_batch",
        ),
        ("stages.jsonl", lambda text: text[: len(text) // 2], r"stages\.jsonl, line \d+: not JSON"),
        ("tiles.jsonl", lambda text: "[1]\n" + text, "line 1: expected a JSON object, found list"),
        ("tiles.jsonl", lambda text: text.replace('"label": 1, ', "", 1), "line 1: not a TileRecord .*label"),
        (
            "links.jsonl",
            lambda text: text.replace('"sat1"', "null", 1),
            "field 'receiver' is None, expected str",
        ),
        (
            "labels.jsonl",
            lambda text: text.replace('"truth"', '"tooth"', 1),
            "line 1: field 'truth' is missing",
        ),
        ("run.json", lambda text: text.replace('"audit": {', '"audit": 3, "a": {'), "field 'audit' is 3"),
        ("labels.jsonl", lambda text: text.replace('"source_id": "bag"', '"source_id": []', 1), "line 1: "),
    ],
)
def test_spoiled_record_is_refused_with_its_place(
    run: Any, tmp_path: Path, file: str, spoil: Callable[..., object], complaint: str
) -> None:
    save_run(run, tmp_path)
    path = tmp_path / file
    path.write_text(spoil(path.read_text()))
    with pytest.raises(StoreError, match=complaint):
        load_run(tmp_path)


def test_lost_file_is_named(run: RunRecord, tmp_path: Path) -> None:
    save_run(run, tmp_path)
    (tmp_path / "transfers.jsonl").unlink()
    with pytest.raises(StoreError, match=r"transfers\.jsonl is missing"):
        load_run(tmp_path)


def rows_of(run: RunRecord, path: Path) -> list[dict[str, str]]:
    write_results_csv(run, path)
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    return rows


def test_results_have_a_row_per_tile(run: RunRecord, tmp_path: Path) -> None:
    run.tiles.append(replace(run.tiles[3], grounded_s=run.tiles[3].grounded_s + 5))
    run.tiles[4] = replace(run.tiles[4], label=77)
    del run.truth["bag", 6, 0]
    rows = rows_of(run, tmp_path / "results.csv")
    assert len(rows) == 128
    assert (rows[3]["class_name"], rows[3]["copies"], rows[3]["truth"]) == ("e", "2", "4")
    assert float(rows[3]["delay_s"]) == pytest.approx(run.tiles[3].grounded_s - run.tiles[3].acquired_s, abs=1e-6)
    assert (rows[4]["label"], rows[4]["class_name"]) == ("77", "")
    assert rows[5]["truth"] == "" and rows[5]["reference"] == "6"


def test_a_row_leads_to_its_image_its_pixels_and_what_made_it(run: RunRecord, tmp_path: Path) -> None:
    stamp_ns = 1_700_000_000_123_456_789
    run.frames[0] = replace(run.frames[0], name="a\udcff.jpg", height=100, width=150, tiles=6, stamp_ns=stamp_ns)
    run.tiles[0] = replace(run.tiles[0], tile_index=5)
    row = rows_of(run, tmp_path / "results.csv")[0]
    assert (row["source_id"], row["frame"], row["tile_index"], row["name"]) == ("bag", "1", "5", "a\udcff.jpg")
    assert (row["frame_width"], row["frame_height"], row["tile_row"], row["tile_column"]) == ("150", "100", "1", "2")
    # The last row and column are moved inwards.
    assert (row["x"], row["y"], row["width"], row["height"]) == ("86", "36", "64", "64")
    assert row["stamp_utc"] == "2023-11-14T22:13:20.123456789Z"
    assert row["arrival_utc"] == "2023-11-14T22:13:20.000000000Z"
    assert (row["model_id"], row["satellites"]) == ("m0de1", "sat1>sat2>sat3>sat4")
    assert (row["plan_epoch"], row["plan_hash"], row["format"]) == ("1.1", "0123456789abcdef", "2")


def test_what_is_not_known_of_an_image_stays_empty(run: RunRecord, tmp_path: Path) -> None:
    run.frames[0] = replace(run.frames[0], stamp_ns=None, height=0, width=0)
    run.tiles[1] = replace(run.tiles[1], epoch=(7, 7))
    # Read again by a later life of sensing, long after its tile had come down.
    run.frames[2] = replace(run.frames[2], arrival_ns=2 * 10**18)
    del run.frames[3]
    rows = rows_of(run, tmp_path / "results.csv")
    assert (rows[0]["stamp_utc"], rows[0]["x"], rows[0]["frame_width"]) == ("", "", "")
    assert rows[0]["name"] == "/camera/image#1" and rows[0]["delay_s"]
    assert (rows[1]["satellites"], rows[1]["plan_epoch"]) == ("", "7.7")
    assert (rows[2]["acquired_s"], rows[2]["delay_s"]) == ("", "") and rows[2]["arrival_utc"].startswith("2033-")
    assert (rows[3]["name"], rows[3]["arrival_utc"], rows[3]["delay_s"]) == ("", "", "")


def test_labels_of_two_lives_of_a_camera_are_not_mixed_up(run: RunRecord, tmp_path: Path) -> None:
    run.tiles[1] = replace(run.tiles[0], source_id="other", label=9)
    run.truth["other", 1, 0], run.reference["other", 1, 0] = 8, 7
    rows = {(r["source_id"], r["frame"]): r for r in rows_of(run, tmp_path / "results.csv")}
    assert (rows["bag", "1"]["truth"], rows["bag", "1"]["reference"]) == ("1", "1")
    assert (rows["other", "1"]["truth"], rows["other", "1"]["reference"]) == ("8", "7")


@given(st.integers(1, 120), st.integers(1, 120), st.integers(8, 70), st.integers(8, 70))
def test_a_tile_lies_where_it_was_cut(height: int, width: int, tile_height: int, tile_width: int) -> None:
    try:
        corners = grid(height, width, tile_height, tile_width)
    except TileError:
        corners = []
    boxes = [tile_box(index, height, width, tile_height, tile_width) for index in range(len(corners))]
    assert [(box.y, box.x) for box in boxes] == corners
    assert tile_box(len(corners), height, width, tile_height, tile_width) is None
    assert sorted((box.row, box.column) for box in boxes) == [(box.row, box.column) for box in boxes]


def test_csv_of_an_older_run_is_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record as version 0.4 wrote it."""
    record = tmp_path / "record"
    record.mkdir()
    header = {"source": "sensing", "ground": "ground", "classes": ["a", "b"], "tiles_per_batch": 1, "sent_tiles": 2}
    (record / "run.json").write_text(json.dumps({"format": 2} | header))
    for name in ("plans", "satellites", "links", "stages", "transfers"):
        (record / f"{name}.jsonl").write_text("")
    tile = {"frame": 5, "tile_index": 0, "label": 1, "acquired_s": 1.0, "grounded_s": 3.0, "copies": 1}
    (record / "tiles.jsonl").write_text("".join(json.dumps({"source_id": s} | tile) + "\n" for s in ("x", "y")))
    labels = [{"frame": 5, "tile_index": 0, "truth": 1, "reference": 0}, {"frame": 6, "tile_index": 0, "truth": 1}]
    (record / "labels.jsonl").write_text("".join(json.dumps({"reference": None} | row) + "\n" for row in labels))
    assert _satllm("report", str(tmp_path), "--csv") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'results.csv'}\n"
    assert _satllm("report", str(tmp_path), "--csv", str(tmp_path / "other.csv")) == 0
    assert (tmp_path / "other.csv").read_bytes() == (tmp_path / "results.csv").read_bytes()
    assert not (tmp_path / "summary.json").exists()
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["source_id"], r["truth"], r["reference"], r["delay_s"]) for r in rows] == [
        ("x", "1", "0", "2.000000"),
        ("y", "1", "0", "2.000000"),
    ]
    assert {r[name] for r in rows for name in ("name", "x", "model_id", "satellites", "plan_epoch")} == {""}
    assert _satllm("report", str(tmp_path)) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["audit"], summary["acquisition"], summary["tiles"]["lost"]) == (None, None, 0)


def test_report_command_rebuilds_a_finished_run(
    run: RunRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary, files, failures = write_run(run, tmp_path)
    assert failures == ()
    before = [file.read_bytes() for file in files]
    assert json.loads(files[1].read_text()) == summary.to_json()
    for file in files:
        file.unlink()
    assert _satllm("report", str(tmp_path)) == 0
    assert [file.read_bytes() for file in files] == before
    assert "all 128 tiles came down exactly once" in capsys.readouterr().out


def test_report_command_fails_for_an_incomplete_run(
    run: RunRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run.tiles.pop()
    run.audit = replace(run.audit, delivered=127, lost=1)
    write_run(run, tmp_path)
    assert _satllm("report", str(tmp_path)) == 1
    told = capsys.readouterr().out
    assert "127 of 128 tiles" in told and "DOES NOT ADD UP: of 128 acquired tiles, 1 neither" in told


def test_a_picture_that_fails_and_a_full_disk_leave_the_figures(
    run: RunRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run: RunRecord, path: Path) -> None:
        raise OverflowError("no such picture")

    write_run(run, tmp_path)
    monkeypatch.setattr(timeline, "write_timeline", fail)
    (tmp_path / "results.csv").unlink()
    (tmp_path / "results.csv").symlink_to("/dev/full")
    summary, files, failures = write_run(run, tmp_path)
    assert summary.exit_ok and [file.name for file in files] == ["summary.json"]
    assert "results.csv could not be written: [Errno 28]" in failures[0]
    assert "timeline.png could not be made" in failures[1] and "no such picture" in failures[1]
    assert _satllm("report", str(tmp_path)) == 1
    told = capsys.readouterr()
    assert "all 128 tiles came down exactly once" in told.out and "no such picture" in told.err


def test_a_record_that_cannot_be_written_is_named(run: RunRecord, tmp_path: Path) -> None:
    (tmp_path / "record").write_text("a file in its place")
    _, files, (failure,) = write_run(run, tmp_path)
    assert len(files) == 3 and "record could not be written" in failure


def _satllm(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(arguments)
    return args.run(args)
