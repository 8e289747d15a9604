"""What people read at the end of a run."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from satllm_ros.report.figures.sample import even_sample
from satllm_ros.report.figures.summary import summarize
from satllm_ros.report.printing import units
from satllm_ros.report.printing.tables import WIDTH, print_report
from satllm_ros.report.record.audit import Audit
from satllm_ros.report.record.record import FrameRecord, RunRecord


def printed(run: RunRecord, width: int = WIDTH, files: tuple[Path, ...] = ()) -> str:
    out = io.StringIO()
    print_report(summarize(run), Console(file=out, width=width, highlight=False), files)
    return out.getvalue()


def test_report_shows_every_figure(run: RunRecord) -> None:
    text = printed(run, files=(Path("runs/now/results.csv"),))
    for figure in (
        "128 sent   128 received   0 lost",
        "flown 100.00 %   unsplit and uncompressed 100.00 %   difference +0.00 points",
        "5.00x",
        "0.2000",
        "10-12",
        "11.0 MB",
        "p50",
        "p95",
        "predicted 20.00 s",
        "paper's model 25.00 s",
        "100.0 % of the ideal flow line",
        "ISL 1.9 MB   S2G 12.8 kB",
        "no DDS or UDP headers",
        "runs/now/results.csv",
    ):
        assert figure in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_emulated_times_are_called_emulated_beside_the_real_ones(run: RunRecord) -> None:
    row = next(line for line in printed(run).splitlines() if line.startswith(" sat2 ") and "1.800" in line)
    assert row.split()[-1] == "emulated" and "0.360" in row
    assert "not this computer's performance" in printed(run)
    assert "follows the emulated compute times" in printed(run)


def test_real_times_carry_no_word_of_emulation(fly: Callable[..., RunRecord]) -> None:
    assert "mulated" not in printed(fly(real_share=1.0))


def test_a_real_line_says_how_fast_it_was_thought_to_be_and_was(fly: Callable[..., RunRecord]) -> None:
    run = fly(real_share=1.0)
    assert "as flown" not in printed(run)
    run.satellites[:] = [replace(s, first_block_s=0.01) for s in run.satellites]
    first = summarize(run).satellites[0]
    assert first.flown_block_s == pytest.approx(first.compute_real_s / (first.tiles * (first.stop - first.start)))
    change = f"{100 * (first.flown_block_s / 0.01 - 1):+.0f} %"
    assert f"sat1 10 ms, {1e3 * first.flown_block_s:.3g} ms ({change})" in " ".join(printed(run).split())


def test_trouble_is_spelled_out(run: RunRecord) -> None:
    run.tiles = [replace(run.tiles[0], copies=3), *run.tiles[2:]]
    run.dropped = {"unreadable": 4}
    run.audit = Audit("journal", 132, 127, dropped={"unreadable": 4}, lost=1, unheard_frames=220, unread_frames=7)
    text = printed(run)
    words = "audit DOES NOT ADD UP: of 132 acquired tiles, 1 neither delivered, nor dropped, nor in custody"
    assert words in " ".join(text.split())
    assert "not heard   220 images that the camera published" in text
    assert "not read    7 images of the source, as the run ended before" in text
    assert "INCOMPLETE: 127 of 128 tiles came down" in text
    assert "1 lost   2 copies suppressed   4 dropped: unreadable" in text


def test_a_suppressed_copy_is_told_and_no_trouble(run: RunRecord) -> None:
    assert "copies" not in printed(run)
    run.tiles[0] = replace(run.tiles[0], copies=3)
    text = printed(run)
    assert "COMPLETE: all 128 tiles came down exactly once" in text and "INCOMPLETE" not in text
    assert "128 received   0 lost   2 copies suppressed" in text


def test_what_is_still_in_custody_is_placed(run: RunRecord) -> None:
    run.tiles = run.tiles[48:]
    run.in_custody = {"stored at sat4, down": 40, "in window": 8}
    assert "in custody  40 stored at sat4, down, 8 in window" in printed(run)


def test_what_the_recorder_missed_is_said_and_no_total_made_up(run: RunRecord) -> None:
    run.gaps = ("the recorder started after 3 batches were sent: it knows no times of these",)
    text = printed(run)
    assert "unknown" in text and "the recorder started after 3 batches were sent" in text
    assert "predicted" not in text and "ideal flow line" not in text and "together" not in text


def test_a_run_that_adds_up_says_so_in_one_line(run: RunRecord) -> None:
    run.audit = Audit("journal", 140, 128, dropped={"unreadable_image": 9}, in_custody={"in window": 3})
    assert "audit       140 acquired = 128 delivered + 9 dropped + 3 in custody\n" in re.sub(" +\n", "\n", printed(run))
    run.audit = replace(run.audit, basis="ledger")
    assert "3 in custody (by sensing's count alone)" in printed(run)


def test_a_run_in_which_nothing_flew_says_so_and_why(run: RunRecord) -> None:
    empty = RunRecord(notes=("nobody publishes",), audit=Audit("ledger", 0, 0))
    text = printed(empty, files=(Path("runs/now/results.csv"),))
    assert "NOTHING FLEW: no image came to be flown" in text and "nobody publishes" in text
    assert "audit       0 acquired = 0 delivered + 0 dropped + 0 in custody" in text and "runs/now/results.csv" in text
    assert "Traffic" not in text and "Satellites" not in text
    empty.dropped = {"unreadable_image": 3, "camera_overflow": 2}
    text = printed(empty)
    assert "NOTHING FLEW: all 5 tiles were dropped before they were sent" in text
    assert "3 dropped: unreadable_image   2 dropped: camera_overflow" in text


def test_agreement_of_a_sample_has_its_interval_and_of_all_has_none(run: RunRecord) -> None:
    whole = "agreement   100.00 % of the tiles got the class the unsplit model gives"
    assert f"{whole}\n" in re.sub(" +\n", "\n", printed(run))
    sampled = even_sample(sorted(run.reference), 50)
    run.reference = {key: run.reference[key] for key in sampled}
    run.reference[sampled[0]] += 1
    text = " ".join(printed(run).split())
    same = "agreement 98.00 % of the tiles got the class the unsplit model gives"
    assert f"{same} (89.50 to 99.65 %, of a sample of 50 of 128 tiles)" in text


def test_the_difference_is_that_on_the_same_tiles(run: RunRecord) -> None:
    for tile in run.tiles[:64]:
        run.truth[tile.key] += 1
    run.reference = {tile.key: tile.label for tile in run.tiles[64:]}
    text = " ".join(printed(run).split())
    sample = "unsplit and uncompressed 100.00 % on the sample difference +0.00 points on the sample"
    assert f"accuracy flown 50.00 % {sample}" in text


@pytest.mark.parametrize(
    ("kind", "beginning"), [("stamp", "the image's stamp"), ("arrival", "its arrival"), ("wire", "acquisition")]
)
def test_the_clock_of_the_delay_is_named(run: RunRecord, kind: str, beginning: str) -> None:
    run.acquisition, run.acquisition_reason = kind, "since it is so"
    text = printed(run)
    assert f"from {beginning} to the ground's write" in text and "clock       since it is so" in text


def test_of_too_many_tiles_the_makespan_is_unknown(run: RunRecord) -> None:
    run.older_tiles = 5
    assert "unknown: only the newest tiles are listed" in printed(run)


def test_dropped_tiles_alone_are_named_as_the_trouble(run: RunRecord) -> None:
    run.dropped = {"unreadable": 1}
    assert "128 of 128 tiles came down, others were dropped" in printed(run)


def test_empty_run_and_narrow_terminal_still_print(run: RunRecord) -> None:
    run.tiles.clear()
    assert "unknown: no tile came down" in printed(run)
    assert max(map(len, printed(run, width=60).splitlines())) <= 60


def test_a_terminal_that_knows_only_ascii_is_served(run: RunRecord) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print_report(summarize(run), Console(file=out, width=WIDTH, highlight=False))
    out.flush()
    text = out.buffer.getvalue().decode("ascii")
    assert "makespan" in text and max(map(len, text.splitlines())) <= WIDTH


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (None, "-"), (5e15, "5000.0 TB")],
)
def test_sizes(value: float | None, text: str) -> None:
    assert units.size(value) == text


@given(st.integers(0, 10**6))
def test_clock_counts_every_second(time_s: int) -> None:
    parts = [int(part) for part in units.clock(time_s).split(":")]
    assert sum(part * 60**power for power, part in enumerate(reversed(parts))) == time_s


def test_tiny_negative_waits_read_zero() -> None:
    assert units.seconds(-1e-9) == "0.000"


def test_dropped_images_are_named_the_first_of_them(run: RunRecord) -> None:
    def dropped(number: int) -> FrameRecord:
        return FrameRecord("folder", number, f"{number}.jpg", 0, 0, 1, None, 0, "unreadable_image")

    run.frames = [dropped(1), dropped(2)]
    assert "dropped     1.jpg (unreadable_image), 2.jpg (unreadable_image)" in printed(run)
    run.frames = [dropped(number) for number in range(1, 200)]
    text = " ".join(printed(run).split())
    assert "5.jpg (unreadable_image) and others: summary.json, record/frames.jsonl" in text and "6.jpg" not in text
    assert len(summarize(run).to_json()["dropped_images"]) == 100
    assert summarize(run).to_json()["dropped_images"][0] == {"name": "1.jpg", "cause": "unreadable_image"}
