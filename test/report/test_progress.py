"""Progress lines, rates and expected times."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from satllm_ros.report.printing.progress import Progress, RateMeter, total_batches


def follow(times_s: list[float], total: int | None, batch_s: float = 2.0, fill_s: float = 10.0) -> list[str]:
    """Lines printed off a terminal by a pipeline that fills, then gives 16 tiles every `batch_s`."""
    out = io.StringIO()
    progress = Progress(Console(file=out, width=40))
    for now_s in times_s:
        done = max(0, 1 + int((now_s - fill_s) // batch_s)) if now_s >= fill_s else 0
        done = min(done, total) if total else done
        progress.update(now_s=now_s, batches_done=done, batches_total=total, tiles_done=16 * done)
    progress.end()
    return out.getvalue().splitlines()


def test_plain_lines_come_every_five_seconds_and_at_the_end() -> None:
    lines = follow([t / 2 for t in range(45)], total=32)
    assert len(lines) == 6
    assert lines[0] == "0 of 32 (0 %) batches  0 tiles  - tiles/s  ETA -"
    assert lines[-1] == "7 of 32 (21 %) batches  112 tiles  8.0 tiles/s  ETA 0:50"


def test_plain_lines_hold_no_control_characters() -> None:
    assert all(line.isprintable() for line in follow([t / 2 for t in range(80)], total=32))


def test_finished_run_has_nothing_left() -> None:
    assert follow([0.0, 10.0, 12.0, 14.0, 16.0], total=3)[-1].endswith("ETA 0:00")


def test_stream_without_end_has_no_eta() -> None:
    assert follow([float(t) for t in range(30)], total=None)[-1] == "10 batches  160 tiles  8.0 tiles/s"


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    progress = Progress(Console(file=out, width=120, force_terminal=True))
    for now_s, done in ((0.0, 0), (10.0, 1), (12.0, 2)):
        progress.update(now_s=now_s, batches_done=done, batches_total=4, tiles_done=16 * done)
    progress.console.print("above the bar")
    progress.end()
    assert "2 of 4 (50 %) batches  32 tiles  8.0 tiles/s  ETA 0:04" in out.getvalue()
    assert "\x1b[?25h" in out.getvalue(), "the cursor is shown again"


@given(step_s=st.floats(0.01, 100.0), steps=st.integers(2, 40), fill_s=st.floats(0.0, 1000.0))
def test_rate_is_that_of_the_steps_not_of_the_fill(step_s: float, steps: int, fill_s: float) -> None:
    meter = RateMeter()
    meter.update(0.0, 0)
    for step in range(steps):
        now_s = fill_s + step * step_s
        meter.update(now_s, 16 * (step + 1))
    assert meter.per_s(now_s) == pytest.approx(16 / step_s, rel=1e-6)


def test_rate_falls_when_nothing_comes() -> None:
    meter = RateMeter()
    for now_s in range(10):
        meter.update(float(now_s), now_s + 1)
    assert meter.per_s(10.0) == pytest.approx(1.0)
    assert meter.per_s(100.0) < 0.1


def test_a_count_that_begins_anew_gives_no_negative_rate() -> None:
    meter = RateMeter()
    for step in range(10):
        meter.update(float(step), 16 * (step + 1))
    meter.update(10.0, 4)
    assert meter.per_s(10.0) is None
    meter.update(11.0, 12)
    assert meter.per_s(11.0) == pytest.approx(8.0)


def test_rate_follows_a_change_of_pace() -> None:
    meter = RateMeter(window_s=20.0)
    for step in range(100):
        meter.update(float(step), step + 1)
    for step in range(30):
        meter.update(100.0 + 4 * step, 101 + step)
    assert meter.per_s(216.0) == pytest.approx(0.25)


def known(**changes: int | bool) -> int:
    told = {"expected": 0, "done": 0, "sent": 0, "sendable_tiles": 0, "batch_tiles": 10, "ended": False}
    return total_batches(**(told | changes))


def test_the_number_of_batches_is_corrected_as_reading_goes_on() -> None:
    assert known(expected=50, done=5, sent=9) == 50
    # More came than the first images promised: five of one would be 500 %.
    assert known(expected=1, done=5, sent=6, sendable_tiles=60) == 6
    assert known(done=5, sent=6, sendable_tiles=60) == 0, "a camera has no end"
    assert known(expected=50, done=3, sent=4, sendable_tiles=31, ended=True) == 4
    assert known(expected=50, sendable_tiles=0, ended=True) == 0


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 990), st.booleans())
def test_no_more_than_all_is_ever_done(expected: int, done: int, sent: int, sendable: int, ended: bool) -> None:
    total = known(expected=expected, done=done, sent=sent, sendable_tiles=sendable, ended=ended)
    assert total == 0 or done <= total
