"""What the recorder shows while a run goes on; a terminal that is gone ends what is shown, not the ground."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from satllm_ros import msg as m
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.report.printing.progress import Progress, total_batches
from satllm_ros.report.printing.steps import StepProgress, told
from satllm_ros.report.printing.tables import report_console
from satllm_ros.supervisor import comparing


class Display:
    """Progress of the run, then of its comparison with the source."""

    def __init__(self, node: FlightNode) -> None:
        self._node = node
        self._progress: Progress | None = None
        self._compared: StepProgress | None = None

    def begin(self) -> None:
        """Show the progress of a run from now on."""
        with self._shown():
            self._progress = Progress(report_console())

    def say(self, text: str) -> None:
        """Print something above the progress."""
        if self._progress is not None:
            with self._shown():
                self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def update(self, ledger: m.Ledger, batch_tiles: int) -> None:
        """Show how far the run is by sensing's ledger; `batch_tiles`: tiles of a batch."""
        if self._progress is not None and ledger.sent_batches:
            with self._shown():
                self._progress.update(
                    now_s=time.monotonic(),
                    batches_done=-(-ledger.delivered_tiles // batch_tiles),
                    batches_total=_total_batches(ledger, batch_tiles) or None,
                    tiles_done=ledger.delivered_tiles,
                )

    def end(self) -> None:
        """The run is over."""
        progress, self._progress = self._progress, None
        if progress is not None:
            with self._shown():
                progress.end()

    def compare(self, progress: comparing.Progress) -> None:
        """Show how far the comparison is."""
        with self._shown():
            if self._compared is None or not self._compared.is_of(progress.step):
                self._compared = StepProgress(report_console(), progress.step, progress.unit)
            self._compared.update(time.monotonic(), progress.done, progress.total)

    def end_comparison(self) -> None:
        """Show how far the comparison came."""
        if self._compared is not None:
            with self._shown():
                self._compared.end()

    @contextmanager
    def _shown(self) -> Iterator[None]:
        try:
            yield
        # Rich ends the process when its pipe breaks.
        except (OSError, SystemExit) as error:
            self._progress = None
            self._node.counters.add("display_failed")
            self._node.get_logger().error(f"progress is not shown any more: {error}")


@contextmanager
def around(step: str) -> Iterator[None]:
    """While the block runs, tell of a step that takes long."""
    with told(step, lambda line: report_console().print(line, markup=False, soft_wrap=True)):
        yield


def _total_batches(ledger: m.Ledger, batch_tiles: int) -> int:
    return total_batches(
        expected=ledger.expected_batches,
        done=-(-ledger.delivered_tiles // batch_tiles),
        sent=ledger.sent_batches,
        sendable_tiles=max(0, ledger.acquired_tiles - ledger.dropped_tiles),
        batch_tiles=batch_tiles,
        ended=ledger.end_of_stream,
    )
