"""Recorder node: listens to a run, shows its progress, and writes its report when every tile is accounted for."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from satllm_ros.assets.paths import checkpoint_path
from satllm_ros.data.images.pixels import PixelRules
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes.base import diagnostic_keys
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.process import Stop
from satllm_ros.nodes.images.parameters import rules_of
from satllm_ros.nodes.recording.clocks import OffsetOf
from satllm_ros.nodes.recording.display import Display, around
from satllm_ros.nodes.recording.heard import Heard
from satllm_ros.nodes.recording.outcome import KnownSource, Outcome
from satllm_ros.nodes.recording.parameters import RecorderParameters
from satllm_ros.nodes.recording.with_source import Comparison, comparison_job
from satllm_ros.nodes.wire.plan_gate import PlanGate
from satllm_ros.report.printing.tables import print_report, report_console
from satllm_ros.report.write import write_run
from satllm_ros.storage.prediction_store import PredictionStore

CHECK_PERIOD_S = 0.2
# Timings of the last batch travel beside its predictions and may come a little later.
SETTLE_S = 1.0


@dataclass(frozen=True)
class _Run:
    """What there is from configuring on; `notes`: what the report has to say of itself."""

    pixels: PixelRules
    heard: Heard
    outcome: Outcome
    notes: list[str]


class RecorderNode(FlightNode):
    """Observes; nothing in the graph depends on it.

    It reports once every tile is accounted for, and when it ends, whatever has come by then. Started again with the
    ground's process, it knows the tiles in the ground's store and what it hears from then on; its report says what it
    missed. Records of a kind that it keeps, and tiles that it reports, have a bound each.
    """

    KEYS = diagnostic_keys.RECORDER
    PARAMETERS = RecorderParameters
    parameters: RecorderParameters

    def __init__(self, store: Callable[[], PredictionStore | None], stop: Stop, **kwargs: Any) -> None:
        super().__init__("recorder", **kwargs)
        self._store = store
        self._stop = stop
        self._reported = self._gathered = False
        self._settled_s = 0.0
        self._display = Display(self)
        self._comparison: Comparison | None = None
        self._configured: _Run | None = None
        self.offset_of: OffsetOf = _not_compared
        self.every(CHECK_PERIOD_S, self._check)

    def configure(self) -> None:
        spec = read_spec(checkpoint_path(self.parameters.checkpoint))
        heard = Heard(
            self,
            spec,
            self.parameters.satellites,
            self._display,
            lambda host: self.offset_of(host),
            gate=PlanGate(spec, self.parameters.satellites, self.parameters.plan_public_key),
            batch_tiles=self.parameters.batch_tiles,
            rereads=self.parameters.source != "topic",
        )
        notes: list[str] = []
        outcome = Outcome(heard, spec, Path(self.parameters.run_directory), notes)
        self._configured = _Run(rules_of(self.parameters, spec), heard, outcome, notes)

    def activate(self) -> None:
        self._reported = self._gathered = False
        self._run.heard.listen()
        self._display.begin()

    def deactivate(self) -> None:
        if not self._reported:
            # Whoever stops a run wants to know what became of it, all the more if nothing did.
            self._finish(at_once=True)
            audit = self._run.heard.run.audit
            if audit is not None and not audit.adds_up:
                self._stop.request(1)

    def cleanup(self) -> None:
        self._configured = None

    @property
    def _run(self) -> _Run:
        assert self._configured is not None
        return self._configured

    def _check(self) -> None:
        if self.state != "active" or self._reported:
            return
        if self._comparison is None:
            if self._is_settled():
                self._finish()
        elif self._comparison.follow():
            self._end_comparison()
            self._conclude()

    def _is_settled(self) -> bool:
        """Whether the source is at its end and every tile of it delivered or dropped, for a while."""
        ledger = self._run.heard.ledger
        if (
            ledger is None
            or not ledger.end_of_stream
            or ledger.delivered_tiles + ledger.dropped_tiles < ledger.acquired_tiles
        ):
            self._settled_s = 0.0
            return False
        self._settled_s = self._settled_s or time.monotonic()
        return time.monotonic() - self._settled_s >= SETTLE_S

    def _finish(self, *, at_once: bool = False) -> None:
        """Work out what became of the run, compare it with its source, and report; `at_once`: this process ends."""
        self._display.end()
        try:
            if not self._gathered:
                if at_once and self._stop.requested:
                    self._run.outcome.await_last_word()
                known = self._run.outcome.gather(self._store(), self.counters["records_dropped"])
                self._gathered = True
                self._start_comparison(known, with_reference=not at_once)
            if self._comparison is not None and not at_once:
                return
            if self._comparison is not None:
                self._end_comparison()
        # Rich ends the process when its pipe breaks.
        except (Exception, SystemExit):
            self._fail()
            return
        self._conclude()

    def _start_comparison(self, known: KnownSource, *, with_reference: bool) -> None:
        run = self._run
        job = comparison_job(self.parameters, run.heard.run, known, run.pixels, with_reference=with_reference)
        if job is None:
            return
        try:
            self._comparison = Comparison(self, job, Path(self.parameters.run_directory), self._display)
        except OSError as error:
            run.notes.append(f"no comparison with the source: {error}")

    def _end_comparison(self) -> None:
        comparison, self._comparison = self._comparison, None
        assert comparison is not None
        comparison.end(self._run.heard.run, self._run.notes)

    def _conclude(self) -> None:
        exit_code = self._report()
        if self.parameters.exit_when_done and not self._stop.requested:
            self._stop.request(exit_code)

    def _report(self) -> int:
        """Exit code of the process: 1 if the run, or its report, is not complete."""
        self._reported = True
        try:
            return self._write_report()
        except (Exception, SystemExit):
            self._fail()
            return 1

    def _fail(self) -> None:
        # The ground is in this process, and a flight is worth more than its report.
        self._reported = True
        self.counters.add("report_failed")
        self.get_logger().error(f"no report: {traceback.format_exc()}")
        if self.parameters.exit_when_done:
            self._stop.request(1)

    def _write_report(self) -> int:
        run = self._run.heard.run
        run.notes = tuple(self._run.notes)
        summary, files, failures = write_run(run, Path(self.parameters.run_directory), around)
        print_report(summary, report_console(), files)
        for failure in failures:
            self.get_logger().error(failure)
        return 0 if summary.exit_ok and not failures else 1


def _not_compared(_: str) -> None:
    """Nobody has compared another host's clock with this one."""
