"""Which lines of a process reach the terminal."""

from satllm_ros.supervisor import echo
from satllm_ros.supervisor.echo import Echo


def line(text: str, stamp: float = 1.0, level: str = "WARN") -> str:
    return f"[{level}] [{stamp:.9f}] [sensing]: {text}"


def test_warnings_and_errors_are_shown_at_once_and_chatter_never() -> None:
    made = Echo()
    for level in ("WARN", "ERROR", "FATAL"):
        assert made.hear(line("the lens is dirty", level=level), 0.0) == [line("the lens is dirty", level=level)]
    assert made.hear(line("all is well", level="INFO"), 0.0) == []
    assert made.hear("  File 'x.py', line 3, in look", 0.0) == []


def test_a_line_that_comes_again_is_counted() -> None:
    made = Echo()
    made.hear(line("frame 1 is lost"), 0.0)
    for number in range(2, 39):
        assert made.hear(line(f"frame {number} is lost", float(number)), 5.0) == []
    assert made.due(9.9) == []
    assert made.due(10.0) == [line("frame 38 is lost", 38.0) + " (said 37 times more)"]
    assert made.due(11.0) == []
    # The next time after a pause twice as long.
    made.hear(line("frame 39 is lost"), 12.0)
    assert made.due(29.9) == []
    assert made.due(30.0) == [line("frame 39 is lost")]


def test_what_was_not_told_is_told_at_the_end() -> None:
    made = Echo()
    for _ in range(4):
        made.hear(line("the lens is dirty"), 0.0)
    assert made.rest() == [line("the lens is dirty") + " (said 3 times more)"]
    assert made.rest() == []


def test_a_flood_of_different_lines_is_cut_and_counted() -> None:
    made = Echo()
    words = ["".join(chr(ord("a") + int(digit)) for digit in f"{number:04d}") for number in range(1000)]
    shown = [made.hear(line(word), 0.1) for word in words]
    assert sum(map(len, shown)) == echo.MAX_LINES
    assert made.due(5.0) == []
    assert made.due(11.0) == [f"{1000 - echo.MAX_LINES} further warnings and errors are in the log"]
    assert made.hear(line("something new"), 12.0) == [line("something new")]
    assert len(made._kinds) <= echo.MAX_KINDS
