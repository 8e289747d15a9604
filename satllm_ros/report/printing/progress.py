"""Live progress of a run: a bar on a terminal, a plain line every few seconds elsewhere."""

from collections import deque

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as RichProgress

from satllm_ros.report.printing import units


class RateMeter:
    """Events per second of a count that grows in steps.

    The rate is taken between steps, so that the time before the first one (the pipeline filling) does not
    count; when no step comes for twice the usual interval, the rate falls.
    """

    def __init__(self, window_s: float = 20.0, least_steps: int = 5) -> None:
        self._window_s = window_s
        self._least_steps = least_steps
        self._steps: deque[tuple[float, int]] = deque()

    def update(self, now_s: float, count: int) -> None:
        """Take note of the count at `now_s`; a count of 0 means that nothing has happened yet.

        A count that falls is that of a new beginning.
        """
        if self._steps and count < self._steps[-1][1]:
            self._steps.clear()
        if count and (not self._steps or count != self._steps[-1][1]):
            self._steps.append((now_s, count))
        while len(self._steps) > self._least_steps + 1 and now_s - self._steps[0][0] > self._window_s:
            self._steps.popleft()

    def per_s(self, now_s: float) -> float | None:
        """Events per second [1/s]; None before the second step."""
        if len(self._steps) < 2:
            return None
        (first_s, first), (last_s, last) = self._steps[0], self._steps[-1]
        span_s = last_s - first_s
        if now_s - last_s > 2 * span_s / (len(self._steps) - 1):
            span_s = now_s - first_s
        return (last - first) / span_s if span_s > 0 else None


def total_batches(*, expected: int, done: int, sent: int, sendable_tiles: int, batch_tiles: int, ended: bool) -> int:
    """Batches of the whole run as far as they are known; 0 while nobody knows.

    Parameters
    ----------
    expected
        What sensing expects of a bag or folder; 0 when unknown. What it has met may be more.
    done, sent
        Batches delivered, and sent for the first time.
    sendable_tiles
        Tiles acquired and not dropped: once the source is read to its end, these and no others make the batches.
    """
    if ended:
        return max(-(-sendable_tiles // batch_tiles), done)
    return max(expected, sent, done) if expected else 0


class Progress:
    """Shows how far a run is, from its making until `end`.

    On a terminal a bar is redrawn at every update, and what is printed through `console` appears above it.
    Elsewhere a plain line without control characters is printed at most every `interval_s`, and one at the
    end. No thread and no clock of its own: time is what `update` is told.
    """

    def __init__(self, console: Console, interval_s: float = 5.0) -> None:
        self.console = console
        self._interval_s = interval_s
        self._batches = RateMeter()
        self._tiles = RateMeter()
        self._line = ""
        self._printed: tuple[float, str] | None = None
        self._bar: RichProgress | None = None
        if console.is_terminal:
            columns = (SpinnerColumn(), BarColumn(bar_width=30), TextColumn("{task.description}"))
            self._bar = RichProgress(*columns, console=console, auto_refresh=False)
            self._task = self._bar.add_task("waiting for the first batch", total=None)
            self._bar.start()

    def end(self) -> None:
        """Show it once more, and no longer."""
        if self._bar:
            self._bar.refresh()
            self._bar.stop()
        elif self._line and (self._printed is None or self._printed[1] != self._line):
            self._print(self._line)

    def update(self, *, now_s: float, batches_done: int, batches_total: int | None, tiles_done: int) -> None:
        """Show the state at `now_s`.

        Parameters
        ----------
        now_s
            A steady clock [s].
        batches_done, tiles_done
            Written at the ground so far.
        batches_total
            Batches expected in all; None for a stream without a known end.
        """
        self._batches.update(now_s, batches_done)
        self._tiles.update(now_s, tiles_done)
        self._line = self._describe(now_s, batches_done, batches_total, tiles_done)
        if self._bar:
            total = batches_total if batches_done else None
            self._bar.update(self._task, completed=batches_done, total=total, description=self._line)
            self._bar.refresh()
        elif self._printed is None or now_s - self._printed[0] >= self._interval_s:
            self._printed = (now_s, self._line)
            self._print(self._line)

    def _describe(self, now_s: float, done: int, total: int | None, tiles: int) -> str:
        of_total = f" of {total} ({100 * done // total} %)" if total else ""
        tiles_per_s = self._tiles.per_s(now_s)
        speed = f"{tiles_per_s:.1f}" if tiles_per_s is not None else units.UNKNOWN
        parts = [f"{done}{of_total} batches", f"{tiles} tiles", f"{speed} tiles/s"]
        if total:
            parts.append(f"ETA {self._eta(now_s, total - done)}")
        return "  ".join(parts)

    def _eta(self, now_s: float, batches_left: int) -> str:
        if batches_left <= 0:
            return units.clock(0)
        per_s = self._batches.per_s(now_s)
        return units.clock(batches_left / per_s) if per_s else units.UNKNOWN

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)
