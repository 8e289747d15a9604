"""What is said of steps that take long."""

import io
import threading

import pytest
from rich.console import Console

from satllm_ros.report.printing.steps import StepProgress, told


def test_a_counted_step_shows_how_far_it_is_now_and_then_and_at_its_end() -> None:
    out = io.StringIO()
    progress = StepProgress(Console(file=out, width=40), "unsplit reference", "tiles", interval_s=5.0)
    for now_s in range(13):
        progress.update(float(now_s), 64 * now_s, 1000)
    progress.end()
    progress.end()
    assert out.getvalue().splitlines() == [
        "unsplit reference: 0 of 1000 (0 %) tiles",
        "unsplit reference: 320 of 1000 (32 %) tiles  ETA 0:11",
        "unsplit reference: 640 of 1000 (64 %) tiles  ETA 0:06",
        "unsplit reference: 768 of 1000 (76 %) tiles  ETA 0:04",
    ]


def test_of_an_unknown_total_only_the_count_is_shown() -> None:
    out = io.StringIO()
    progress = StepProgress(Console(file=out, width=80), "true classes", "images")
    progress.update(0.0, 100, 0)
    assert out.getvalue() == "true classes: 100 images\n"
    assert progress.is_of("true classes") and not progress.is_of("unsplit reference")


def test_a_step_that_takes_long_is_told_again_and_again() -> None:
    lines: list[str] = []
    third = threading.Event()

    def tell(line: str) -> None:
        lines.append(line)
        if len(lines) == 3:
            third.set()

    with told("writing timeline.png", tell, patience_s=0.01):
        assert third.wait(30.0)
    count = len(lines)
    assert all(line.startswith("writing timeline.png: ") for line in lines)
    assert not any(thread.name == "told" for thread in threading.enumerate()) and len(lines) == count


def test_a_quick_step_is_not_told_and_a_terminal_that_is_gone_costs_nothing() -> None:
    lines: list[str] = []
    with told("writing", lines.append):
        pass
    assert not lines
    failed = threading.Event()

    def fail(_: str) -> None:
        failed.set()
        raise BrokenPipeError

    with told("writing", fail, patience_s=0.01):
        assert failed.wait(30.0)


def test_what_is_done_may_fail() -> None:
    with pytest.raises(ValueError, match="full"), told("writing", print):
        raise ValueError("full")
