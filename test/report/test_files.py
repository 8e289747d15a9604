"""What a run writes, and what can be built again from it."""

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from satllm_ros.report import command, timeline
from satllm_ros.report.record import RunRecord
from satllm_ros.report.results import COLUMNS, write_results_csv
from satllm_ros.report.store import StoreError, load_run, save_run
from satllm_ros.report.write import write_run


def test_a_saved_run_is_loaded_unchanged(run: RunRecord, tmp_path: Path) -> None:
    run.dropped = {"unreadable": 2}
    run.in_custody, run.gaps, run.older_tiles = {"stored at sat4, down": 3}, ("late",), 7
    run.truth[12345, 6] = 3
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
            lambda text: text.replace('"format": 2', '"format": 9'),
            "format is 9, this version reads 2",
        ),
        (
            "run.json",
            lambda text: text.replace('"tiles_per_batch": 16', '"tiles_per_batch": "x"'),
            "tiles_per_batch",
        ),
        ("stages.jsonl", lambda text: text[: len(text) // 2], r"stages\.jsonl, line \d+: not JSON"),
        ("tiles.jsonl", lambda text: "[1]\n" + text, "line 1: expected a JSON object, found list"),
        ("tiles.jsonl", lambda text: text.replace('"label": 0, ', "", 1), "line 1: not a TileRecord .*label"),
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
    ],
)
def test_spoiled_record_is_refused_with_its_place(run, tmp_path: Path, file, spoil, complaint) -> None:
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


def test_results_have_a_row_per_tile(run: RunRecord, tmp_path: Path) -> None:
    run.tiles.append(replace(run.tiles[3], grounded_s=run.tiles[3].grounded_s + 5))
    run.tiles[4] = replace(run.tiles[4], label=77)
    del run.truth[5, 0]
    path = tmp_path / "results.csv"
    write_results_csv(run, path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 128
    assert (rows[3]["class_name"], rows[3]["copies"], rows[3]["truth"]) == ("d", "2", "3")
    assert float(rows[3]["delay_s"]) == pytest.approx(run.tiles[3].grounded_s - run.tiles[3].acquired_s, abs=1e-6)
    assert (rows[4]["label"], rows[4]["class_name"]) == ("77", "")
    assert rows[5]["truth"] == "" and rows[5]["reference"] == "5"


def test_report_command_rebuilds_a_finished_run(run: RunRecord, tmp_path: Path, capsys) -> None:
    summary, files, failures = write_run(run, tmp_path)
    assert failures == ()
    before = [file.read_bytes() for file in files]
    assert json.loads(files[1].read_text()) == summary.to_json()
    for file in files:
        file.unlink()
    assert _satllm("report", str(tmp_path)) == 0
    assert [file.read_bytes() for file in files] == before
    assert "all 128 tiles came down exactly once" in capsys.readouterr().out


def test_report_command_fails_for_an_incomplete_run(run: RunRecord, tmp_path: Path, capsys) -> None:
    run.tiles.pop()
    write_run(run, tmp_path)
    assert _satllm("report", str(tmp_path)) == 1
    assert "127 of 128 tiles" in capsys.readouterr().out


def test_a_picture_that_fails_and_a_full_disk_leave_the_figures(
    run: RunRecord, tmp_path: Path, capsys, monkeypatch
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
