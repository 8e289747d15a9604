"""Recorder node: listens to a run, shows its progress, and writes its report when every tile is accounted for."""

# long: to be split: what is heard, and how the report is made

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.acquisition.drop_causes import NEVER_SENT
from satllm_ros.acquisition.stamps import clock_of_run
from satllm_ros.assets.paths import bag_path, checkpoint_path
from satllm_ros.data.manifest import CAMERA, Manifest
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes.base import diagnostic_keys
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.host_clock import host_clock
from satllm_ros.nodes.base.parameters import BATCH_TILES, CHECKPOINT, PLAN_PUBLIC_KEY, RECURSIVE, SATELLITES, Parameter
from satllm_ros.nodes.base.process import Stop
from satllm_ros.nodes.images.pixel_parameters import PIXEL_PARAMETERS, rules_of
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire import records
from satllm_ros.protocol.plan import PlanError, check_plan
from satllm_ros.report.figures.sample import ALL, DEFAULT, even_sample
from satllm_ros.report.printing.progress import Progress, total_batches
from satllm_ros.report.printing.steps import StepProgress, told
from satllm_ros.report.printing.tables import print_report, report_console
from satllm_ros.report.record.audit import audit_journal, audit_ledger
from satllm_ros.report.record.clocks import have_one_wall_clock
from satllm_ros.report.record.lives import Lives
from satllm_ros.report.record.record import LinkRecord, RunRecord, SatelliteRecord
from satllm_ros.report.write import write_run
from satllm_ros.signing.signing import check_signature, parse_public_key
from satllm_ros.storage.database import BadDatabaseError
from satllm_ros.storage.frame_journal import JOURNAL_NAME, FrameRow, Journal, read_books, read_journal
from satllm_ros.storage.prediction_store import PredictionStore
from satllm_ros.storage.run_identity import RunMismatchError, read_run
from satllm_ros.supervisor.comparing import EXECUTABLE, ComparisonProcess, Job

Item = TypeVar("Item")

CHECK_PERIOD_S = 0.2
# Timings of the last batch travel beside its predictions and may come a little later.
SETTLE_S = 1.0
# A camera flies for days: the report then covers its last records and tiles.
MAX_RECORDS = 100_000
MAX_TILES = 500_000
# Two of one host are noted only if it started anew, or somebody makes names up.
MAX_CLOCKS = 64
# What two monotonic clocks may drift apart in a run, beside what is known of them [s]: a computer that starts anew is
# further off.
MOST_DRIFTED_S = 1.0
# When all end, sensing writes its last word within this, and a bag's true classes are read; a longer wait might cost
# the report, since whoever ends all kills what takes too long.
LAST_WORD_S = 4.0
TRUTH_S = 5.0
POLL_PERIOD_S = 0.1


class RecorderNode(FlightNode):
    """Observes; nothing in the graph depends on it.

    It reports once every tile is accounted for, and when it ends, whatever has come by then. Started again with the
    ground's process, it knows the tiles in the ground's store and what it hears from then on; its report says what it
    missed. In memory it keeps `MAX_RECORDS` records of a kind, and reports `MAX_TILES` tiles.
    """

    KEYS = diagnostic_keys.RECORDER
    PARAMETERS = (
        CHECKPOINT,
        SATELLITES,
        BATCH_TILES,
        PLAN_PUBLIC_KEY,
        Parameter("run_directory", "", "Folder the report is written to; empty: the working directory"),
        Parameter("source", "topic", "Where sensing gets images", choices=("topic", "bag", "folder")),
        Parameter("path", "", "Bag or folder that sensing reads, for true classes and the unsplit reference"),
        RECURSIVE,
        Parameter("image_topic", "", "Image topic inside the bag; empty: the only one there is"),
        *PIXEL_PARAMETERS,
        Parameter(
            "reference",
            DEFAULT,
            "On how many of the tiles that came down the unsplit, uncompressed model is run for comparison, evenly over"
            " all; 0: none, -1: all",
            "tile",
            ALL,
            2**31 - 1,
        ),
        Parameter(
            "exit_when_done", False, "End the process once a bag or folder is through, with 1 if a tile is missing"
        ),
    )

    def __init__(self, store: Callable[[], PredictionStore | None], stop: Stop, **kwargs: Any) -> None:
        super().__init__("recorder", **kwargs)
        self._store = store
        self._stop = stop
        self._reported = self._gathered = False
        self._ledger: m.Ledger | None = None
        self._settled_s = 0.0
        self._progress: Progress | None = None
        self._comparison: ComparisonProcess | None = None
        self._compared: StepProgress | None = None
        # How far the steady clock of another host, by its name, is ahead of this one, and the uncertainty of that [s].
        self.offset_of: Callable[[str], tuple[float, float] | None] = _not_compared
        self.every(CHECK_PERIOD_S, self._check)

    def configure(self) -> None:
        self._spec = read_spec(checkpoint_path(self.value("checkpoint")))
        self._pixels = rules_of(self, self._spec)
        self._public_key = parse_public_key(self.value("plan_public_key"))
        self._run = RunRecord(
            source=graph.SENSING,
            ground=graph.GROUND,
            classes=self._spec.classes,
            tiles_per_batch=self.value("batch_tiles"),
            clock=host_clock(),
        )
        self._clocks: dict[str, str] = {}
        self._lives = Lives(rereads=self.value("source") != "topic")
        self._satellites: dict[str, SatelliteRecord] = {}
        self._links: dict[tuple[str, str], LinkRecord] = {}
        self._missed_batches: int | None = None
        self._notes: list[str] = []

    def activate(self) -> None:
        self._reported = self._gathered = False
        for satellite in self.value("satellites"):
            self.listen_to(graph.STATUS, self._on_status, satellite)
            self.listen_to(graph.TIMING, self._on_timing, satellite)
        self.listen_to(graph.LINK_TRANSFER, self._on_transfer)
        self.listen_to(graph.LINK_STATE, self._on_link_state)
        self.listen_to(graph.PLAN_ACTIVE, self._on_plan)
        self.listen_to(graph.LEDGER, self._on_ledger)
        with self._shown():
            self._progress = Progress(report_console()).__enter__()

    def deactivate(self) -> None:
        if not self._reported:
            # Whoever stops a run wants to know what became of it, all the more if nothing did.
            self._finish(at_once=True)
            audit = self._run.audit
            if audit is not None and not audit.adds_up:
                self._stop.request(1)

    # What is heard

    def _on_status(self, message: m.SatelliteStatus) -> None:
        if self._is_known(message.satellite):
            try:
                before = self._satellites.get(message.satellite)
                self._satellites[message.satellite] = records.satellite_record(message, before)
            except ValueError:
                self.counters.add("malformed_status")

    def _on_timing(self, message: m.BatchTiming) -> None:
        # Sensing and the ground compute nothing; their clocks are not to be had this way.
        if self._is_known(message.satellite, among=self.value("satellites")):
            try:
                self._keep(self._run.stages, record := records.stage_record(message))
                self._clocks[message.satellite] = record.clock
            except ValueError:
                self.counters.add("malformed_timing")

    def _on_transfer(self, message: m.LinkTransfer) -> None:
        if self._is_known(message.sender, message.receiver):
            try:
                self._keep(self._run.transfers, records.transfer_record(message))
            except ValueError:
                self.counters.add("malformed_transfer")

    def _on_link_state(self, message: m.LinkState) -> None:
        # The record is of what links are set to; what they carried, it has from transfers.
        if message.source != m.LinkState.SOURCE_MEASURED and self._is_known(message.sender, message.receiver):
            try:
                self._links[message.sender, message.receiver] = records.link_record(message)
            except ValueError:
                self.counters.add("malformed_link_state")

    def _on_plan(self, message: m.Plan) -> None:
        try:
            plan = convert.plan_from(message)
            check_plan(plan, model_id=self._spec.model_id, blocks=self._spec.blocks, known=self.value("satellites"))
        except PlanError:
            self.counters.add("bad_plan")
            return
        try:
            check_signature(plan, self._public_key)
        except PlanError:
            self.counters.add("plan_forged")
            return
        record = records.plan_record(plan)
        # A sensing node that was started again announces its plan again.
        if any((known.epoch, known.plan_hash) == (record.epoch, record.plan_hash) for known in self._run.plans):
            return
        self._keep(self._run.plans, record)
        if self._progress is not None:
            with self._shown():
                self._progress.console.print(plan.explanation, highlight=False, markup=False, soft_wrap=True)

    def _on_ledger(self, message: m.Ledger) -> None:
        self._lives.note(records.account(message))
        if self._missed_batches is None:
            self._missed_batches = message.sent_batches
        self._ledger = message
        self._compare_clocks(message)
        if self._progress is not None and message.sent_batches:
            tiles_per_batch = self.value("batch_tiles")
            with self._shown():
                self._progress.update(
                    now_s=time.monotonic(),
                    batches_done=-(-message.delivered_tiles // tiles_per_batch),
                    batches_total=self._total_batches(message) or None,
                    tiles_done=message.delivered_tiles,
                )

    def _compare_clocks(self, message: m.Ledger) -> None:
        """Note how far the hosts' clocks are apart while they are there: at the end some may be gone."""
        try:
            self._clocks[graph.SENSING] = records.clock_of(message.clock)
        except ValueError:
            self.counters.add("malformed_ledger")
            return
        for host, clock in self._clocks.items():
            if clock in ("", self._run.clock) or (offset := self.offset_of(host)) is None:
                continue
            known_s, uncertainty_s = self._run.clock_offsets.get(clock, offset)
            # A host that has started anew has another clock, whose name its first record will tell.
            is_another = abs(offset[0] - known_s) > uncertainty_s + offset[1] + MOST_DRIFTED_S
            is_new = clock not in self._run.clock_offsets
            if not is_another and (not is_new or len(self._run.clock_offsets) < MAX_CLOCKS):
                self._run.clock_offsets[clock] = offset

    def _total_batches(self, message: m.Ledger) -> int:
        tiles_per_batch = self.value("batch_tiles")
        return total_batches(
            expected=message.expected_batches,
            done=-(-message.delivered_tiles // tiles_per_batch),
            sent=message.sent_batches,
            sendable_tiles=max(0, message.acquired_tiles - message.dropped_tiles),
            batch_tiles=tiles_per_batch,
            ended=message.end_of_stream,
        )

    def _is_known(self, *names: str, among: Collection[str] | None = None) -> bool:
        """Whether all are of this graph, or among these; records of others would only fill the memory."""
        known = set(among or (graph.SENSING, graph.GROUND, *self.value("satellites"))).issuperset(names)
        if not known:
            self.counters.add("unknown_name")
        return known

    def _keep(self, kept: list[Item], record: Item) -> None:
        kept.append(record)
        if len(kept) > MAX_RECORDS:
            self.counters.add("records_dropped", MAX_RECORDS // 10)
            del kept[: MAX_RECORDS // 10]

    # What is told

    def _check(self) -> None:
        if self.state != "active" or self._reported:
            return
        if self._comparison is not None:
            self._follow_comparison()
        elif self._is_settled():
            self._finish()

    def _is_settled(self) -> bool:
        """Whether the source is at its end and every tile of it delivered or dropped, for a while."""
        ledger = self._ledger
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
        self._end_progress()
        try:
            if not self._gathered:
                if at_once and self._stop.requested:
                    self._await_last_word()
                self._gather()
                self._gathered = True
                self._start_comparison(with_reference=not at_once)
            if self._comparison is not None and not at_once:
                return
            if self._comparison is not None:
                self._end_comparison()
        # Rich ends the process when its pipe breaks.
        except (Exception, SystemExit):
            self._fail()
            return
        self._conclude()

    def _conclude(self) -> None:
        exit_code = self._report()
        if self.value("exit_when_done") and not self._stop.requested:
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
        if self.value("exit_when_done"):
            self._stop.request(1)

    def _write_report(self) -> int:
        run = self._run
        run.notes = tuple(self._notes)
        summary, files, failures = write_run(run, self._run_directory, self._around)
        print_report(summary, report_console(), files)
        for failure in failures:
            self.get_logger().error(failure)
        return 0 if summary.exit_ok and not failures else 1

    @property
    def _run_directory(self) -> Path:
        return self.folder("run_directory")

    @contextmanager
    def _around(self, step: str) -> Iterator[None]:
        with told(step, lambda line: report_console().print(line, markup=False, soft_wrap=True)):
            yield

    # What became of the run

    def _await_last_word(self) -> None:
        """When all end, sensing's books are written a little later than we are told to end."""
        path = self._run_directory / JOURNAL_NAME
        deadline_s = time.monotonic() + LAST_WORD_S
        while time.monotonic() < deadline_s:
            try:
                books = read_books(path)
            except (OSError, BadDatabaseError):
                return
            if books and books[-1].closed and self._ledger_boot_id in (None, books[-1].boot_id):
                return
            time.sleep(POLL_PERIOD_S)

    @property
    def _ledger_boot_id(self) -> int | None:
        return self._ledger.boot_id if self._ledger is not None else None

    def _gather(self) -> None:
        run = self._run
        run.satellites = [self._satellites[name] for name in self.value("satellites") if name in self._satellites]
        run.links = list(self._links.values())
        run.tile_height, run.tile_width = self._spec.image_height, self._spec.image_width
        with self._around("reading the ground's store"):
            self._add_tiles()
        with self._around("accounting for every tile"):
            self._add_audit()
        if self._ledger is not None and not self._ledger.end_of_stream:
            # Predictions are for a whole bag or folder: a camera, or a run that was interrupted, is not one.
            run.plans = [replace(p, predicted_exact_s=None, predicted_paper_s=None) for p in run.plans]
        run.gaps = tuple(self._gaps())

    def _gaps(self) -> Iterator[str]:
        if not self._lives.accounts:
            yield "sensing was never heard: what it sent and dropped is not known"
        if self._missed_batches:
            yield f"the recorder started after {self._missed_batches} batches were sent: it knows no times of these"
        if self.counters["records_dropped"]:
            yield f"of timings and transfers, the oldest {self.counters['records_dropped']} were dropped"
        if self._run.older_tiles:
            yield f"of the oldest {self._run.older_tiles} tiles only the number is reported"

    def _stored_tiles(self) -> int:
        store = self._store()
        return store.count() if store is not None else 0

    def _add_tiles(self) -> None:
        """What the ground has, of earlier lives of its process too."""
        if (store := self._store()) is None:
            return
        self._run.tiles = [records.tile_record(tile) for tile in store.read(MAX_TILES)]
        self._run.older_tiles = max(0, self._stored_tiles() - len(self._run.tiles))

    def _add_audit(self) -> None:
        run, lives, rereads = self._run, self._lives, self.value("source") != "topic"
        journal = self._journal()
        run.acquisition_shift_s = self._acquisition_shift_s(journal_is_here=journal is not None)
        self._rows: Sequence[FrameRow] = journal.rows if journal is not None else ()
        self._source = self._manifest()
        if journal is not None:
            lives.add_books([records.account_of_books(books) for books in journal.books])
            run.frames = [records.frame_record(row) for row in journal.rows]
            run.acquisition, run.acquisition_reason = clock_of_run(journal.rows)
            run.audit = audit_journal(
                run.frames,
                (tile.key for tile in run.tiles),
                lives.accounts,
                rereads=rereads,
                older_tiles=run.older_tiles,
                # Of a bag that somebody plays, sensing was told.
                frames_total=self._source.frames if self._source is not None else journal.frames_total,
            )
            run.sent_tiles = run.audit.acquired - sum(run.audit.dropped.get(cause, 0) for cause in NEVER_SENT)
        else:
            run.acquisition = "wire"
            run.acquisition_reason = "acquired is as each batch says it: sensing's journal is not on this computer"
            received = len(run.tiles) + run.older_tiles
            run.sent_tiles = lives.sent()
            if lives.restarted and not rereads:
                # A life that died may have sent more than it last said.
                run.sent_tiles = max(run.sent_tiles, received)
            if lives.accounts:
                run.audit = audit_ledger(
                    sent=run.sent_tiles,
                    received=received,
                    dropped_before=lives.dropped_before(),
                    accounts=lives.accounts,
                    rereads=rereads,
                )
        if run.audit is not None:
            run.dropped, run.in_custody = dict(run.audit.dropped), dict(run.audit.in_custody)

    def _acquisition_shift_s(self, *, journal_is_here: bool) -> tuple[float, float] | None:
        """From sensing's wall clock to the ground's, with its uncertainty [s]; None if nobody can tell."""
        ledger, clock = self._ledger, self._clocks.get(graph.SENSING, "")
        if not clock:
            return (0.0, 0.0) if journal_is_here else None
        if have_one_wall_clock(clock, self._run.clock) or self.get_parameter("use_sim_time").value:
            return 0.0, 0.0
        offset = self._run.clock_offsets.get(clock)
        if offset is None or ledger is None or not math.isfinite(ledger.steady_s):
            return None
        theirs_s = convert.seconds(ledger.header.stamp) - ledger.steady_s
        ours_s = self.now_s() - time.monotonic()
        return ours_s - theirs_s - offset[0], offset[1]

    def _journal(self) -> Journal | None:
        """Sensing's journal, if it is on this computer."""
        try:
            return read_journal(self._run_directory / JOURNAL_NAME)
        except FileNotFoundError:
            return None
        except (OSError, BadDatabaseError) as error:
            self._notes.append(str(error))
            return None

    def _manifest(self) -> Manifest | None:
        """What the bag or folder held when the run began, if it began on this computer."""
        try:
            run = read_run(self._run_directory)
        except (OSError, RunMismatchError) as error:
            self._notes.append(str(error))
            return None
        source = run.facts.source if run is not None else None
        return source if source is not None and source.kind != CAMERA else None

    # Comparison with the source

    def _start_comparison(self, *, with_reference: bool) -> None:
        kind = self.value("source")
        path = bag_path(self.value("path")) if kind == "bag" else Path(self.value("path"))
        if kind == "topic" or not path.exists() or not self._run.tiles:
            # A camera, or a bag on the computer that senses: nothing to compare with here.
            return
        source_id = self._source.source_id if self._source is not None else self._run.tiles[-1].source_id
        wanted = self.value("reference") if with_reference else 0
        flown = sorted({(t.frame, t.tile_index) for t in self._run.tiles if t.source_id == source_id})
        tiles = even_sample(flown, wanted) if wanted else []
        frames = {frame for frame, _ in tiles}
        if kind == "folder" and not tiles:
            return
        job = Job(
            kind,
            str(path.resolve()),
            self.value("image_topic"),
            source_id,
            str(Path(checkpoint_path(self.value("checkpoint"))).resolve()),
            str(self._run_directory.resolve()),
            tuple(tiles),
            pixels=self._pixels.to_json(),
            wants_truth=kind == "bag",
            recursive=self.value("recursive"),
            digests={row.frame: row.digest for row in self._rows if row.source_id == source_id and row.frame in frames},
        )
        try:
            self._comparison = ComparisonProcess(job, self._run_directory / "logs" / f"{EXECUTABLE}.log")
        except OSError as error:
            self._notes.append(f"no comparison with the source: {error}")

    def _follow_comparison(self) -> None:
        comparison = self._comparison
        assert comparison is not None
        is_over = comparison.poll()
        progress = comparison.progress
        if progress is not None:
            with self._shown():
                if self._compared is None or not self._compared.is_of(progress.step):
                    self._compared = StepProgress(report_console(), progress.step, progress.unit)
                self._compared.update(time.monotonic(), progress.done, progress.total)
        if is_over:
            self._end_comparison()
            self._conclude()

    def _end_comparison(self) -> None:
        """Take what has been found; what is not over when this process ends is not waited for long."""
        comparison, self._comparison = self._comparison, None
        assert comparison is not None
        # The unsplit model may take long, a few labels should not.
        if not comparison.wait(0.0 if comparison.job.tiles else TRUTH_S):
            comparison.stop()
            self._notes.append("the comparison with the source was interrupted")
        if self._compared is not None:
            with self._shown():
                self._compared.end()
        source_id = comparison.job.source_id
        self._run.truth = {(source_id, *key): label for key, label in comparison.truth.items()}
        self._run.reference = {(source_id, *key): label for key, label in comparison.reference.items()}
        for complaint in comparison.complaints:
            self.get_logger().error(complaint)
            self._notes.append(complaint)

    def _end_progress(self) -> None:
        progress, self._progress = self._progress, None
        if progress is not None:
            with self._shown():
                progress.__exit__(None, None, None)

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """A terminal that is gone, or a full disk in its place, ends what is shown, not the ground."""
        try:
            yield
        # Rich ends the process when its pipe breaks.
        except (OSError, SystemExit) as error:
            self._progress = None
            self.counters.add("display_failed")
            self.get_logger().error(f"progress is not shown any more: {error}")


def _not_compared(_: str) -> None:
    """Nobody has compared another host's clock with this one."""
