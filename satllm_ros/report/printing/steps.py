"""What happens after the last tile, said while it happens: nobody should have to guess whether a run hangs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console

from satllm_ros.report.printing import units
from satllm_ros.report.printing.progress import RateMeter

# A step that takes longer is told of, and again after as long.
PATIENCE_S = 10.0
INTERVAL_S = 5.0


class StepProgress:
    """How far one counted step is: a line at most every `interval_s`; time is what `update` is told."""

    def __init__(self, console: Console, what: str, unit: str, interval_s: float = INTERVAL_S) -> None:
        self._console, self._what, self._unit, self._interval_s = console, what, unit, interval_s
        self._rate = RateMeter()
        self._printed_s: float | None = None
        self._line = ""
        self._done = self._printed_done = -1

    def is_of(self, what: str) -> bool:
        """Whether it shows the step of this name."""
        return what == self._what

    def update(self, now_s: float, done: int, total: int) -> None:
        """So many of `total` are done at `now_s` [s], a steady clock; a total of 0 is unknown."""
        self._rate.update(now_s, done)
        self._done = done
        of_total = f" of {total} ({100 * done // total} %)" if total else ""
        self._line = f"{self._what}: {done}{of_total} {self._unit}"
        per_s = self._rate.per_s(now_s)
        if total and per_s:
            self._line += f"  ETA {units.clock(max(0, total - done) / per_s)}"
        if self._printed_s is None or now_s - self._printed_s >= self._interval_s:
            self._printed_s = now_s
            self._print()

    def end(self) -> None:
        """Show what was last told."""
        if self._done != self._printed_done:
            self._print()

    def _print(self) -> None:
        self._printed_done = self._done
        self._console.print(self._line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def told(what: str, tell: Callable[[str], None], patience_s: float = PATIENCE_S) -> Iterator[None]:
    """While the block runs, say every `patience_s` what is being done and for how long."""
    done = threading.Event()
    started_s = time.monotonic()

    def speak() -> None:
        while not done.wait(patience_s):
            # A terminal that is gone ends what is told, not what is done.
            with suppress(OSError, ValueError):
                tell(f"{what}: {time.monotonic() - started_s:.0f} s")

    speaker = threading.Thread(target=speak, name="told", daemon=True)
    speaker.start()
    try:
        yield
    finally:
        done.set()
        speaker.join()
