"""Recorder node: listens to a run, shows its progress, and writes its report when every tile is accounted for."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets_path import bag_path, checkpoint_path
from satllm_ros.data.sources import take_manifest
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes import conversions as convert
from satllm_ros.nodes import records
from satllm_ros.nodes.base import FlightNode
from satllm_ros.nodes.comparison import bag_truth, unsplit_labels
from satllm_ros.nodes.frames import SourceKind, source_frames
from satllm_ros.nodes.parameters import BATCH_TILES, CHECKPOINT, PLAN_PUBLIC_KEY, SATELLITES, Parameter
from satllm_ros.nodes.pixel_parameters import PIXEL_PARAMETERS, rules_of
from satllm_ros.nodes.process import Stop
from satllm_ros.report.lives import Lives
from satllm_ros.report.progress import Progress
from satllm_ros.report.record import LinkRecord, RunRecord, SatelliteRecord, TileRecord
from satllm_ros.report.tables import print_report, report_console
from satllm_ros.report.write import write_run
from satllm_ros.runtime.plan import PlanError, check_plan
from satllm_ros.runtime.signing import check_signature, parse_public_key

if TYPE_CHECKING:
    from satllm_ros.nodes.ground import GroundNode

Item = TypeVar("Item")

CHECK_PERIOD_S = 0.2
# Timings of the last batch travel beside its predictions and may come a little later.
SETTLE_S = 1.0
# A camera flies for days: the report then covers its last records and tiles.
MAX_RECORDS = 100_000
MAX_TILES = 500_000
# Different places that tiles can be at are a few per satellite.
MAX_PLACES = 100


class RecorderNode(FlightNode):
    """Observes; nothing in the graph depends on it.

    Started again with the ground's process, it knows the tiles in the ground's store and what it hears from then on;
    its report says what it missed. In memory it keeps `MAX_RECORDS` records of a kind, and reports `MAX_TILES` tiles.
    """

    PARAMETERS = (
        CHECKPOINT,
        SATELLITES,
        BATCH_TILES,
        PLAN_PUBLIC_KEY,
        Parameter("run_directory", "", "Folder the report is written to; empty: the working directory"),
        Parameter("source", "topic", "Where sensing gets images", choices=("topic", "bag", "folder")),
        Parameter("path", "", "Bag or folder that sensing reads, for true classes and the unsplit reference"),
        Parameter("image_topic", "", "Image topic inside the bag; empty: the only one there is"),
        *PIXEL_PARAMETERS,
        Parameter("reference", True, "Run the unsplit, uncompressed model on the same images for comparison"),
        Parameter(
            "exit_when_done", False, "End the process once a bag or folder is through, with 1 if a tile is missing"
        ),
    )

    def __init__(self, ground: GroundNode, stop: Stop) -> None:
        super().__init__("recorder")
        self._ground = ground
        self._stop = stop
        self._reported = False
        self._ledger: m.Ledger | None = None
        self._settled_s = 0.0
        self._progress: Progress | None = None
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
        )
        self._lives = Lives(rereads=self.value("source") != "topic")
        self._satellites: dict[str, SatelliteRecord] = {}
        self._links: dict[tuple[str, str], LinkRecord] = {}
        self._missed_batches: int | None = None

    def activate(self) -> None:
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
        self._end_progress()
        if not self._reported and (self._run.stages or self._stored_tiles()):
            self._report()

    # What is heard

    def _on_status(self, message: m.SatelliteStatus) -> None:
        if self._is_known(message.satellite):
            try:
                self._satellites[message.satellite] = records.satellite_record(message)
            except ValueError:
                self.counters.add("malformed_status")

    def _on_timing(self, message: m.BatchTiming) -> None:
        if self._is_known(message.satellite):
            try:
                self._keep(self._run.stages, records.stage_record(message))
            except ValueError:
                self.counters.add("malformed_timing")

    def _on_transfer(self, message: m.LinkTransfer) -> None:
        if self._is_known(message.sender, message.receiver):
            try:
                self._keep(self._run.transfers, records.transfer_record(message))
            except ValueError:
                self.counters.add("malformed_transfer")

    def _on_link_state(self, message: m.LinkState) -> None:
        if self._is_known(message.sender, message.receiver):
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
        if self._progress is not None and message.sent_batches:
            tiles_per_batch = self.value("batch_tiles")
            with self._shown():
                self._progress.update(
                    now_s=time.monotonic(),
                    batches_done=-(-message.delivered_tiles // tiles_per_batch),
                    batches_total=message.expected_batches or None,
                    tiles_done=message.delivered_tiles,
                )

    def _is_known(self, *names: str) -> bool:
        """Whether all are of this graph; records of others would only fill the memory."""
        known = {graph.SENSING, graph.GROUND, *self.value("satellites")}.issuperset(names)
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
        ledger = self._ledger
        if self.state != "active" or self._reported or ledger is None or not ledger.end_of_stream:
            self._settled_s = 0.0
            return
        if ledger.delivered_tiles + ledger.dropped_tiles < ledger.acquired_tiles:
            self._settled_s = 0.0
            return
        self._settled_s = self._settled_s or time.monotonic()
        if time.monotonic() - self._settled_s < SETTLE_S:
            return
        self._end_progress()
        exit_code = self._report()
        if self.value("exit_when_done"):
            self._stop.request(exit_code)

    def _report(self) -> int:
        """Exit code of the process: 1 if the run, or its report, is not complete."""
        self._reported = True
        try:
            return self._write_report()
        # Rich ends the process when its pipe breaks.
        except (Exception, SystemExit):
            # The ground is in this process, and a flight is worth more than its report.
            self.counters.add("report_failed")
            self.get_logger().error(f"no report: {traceback.format_exc()}")
            return 1

    def _write_report(self) -> int:
        run, ledger = self._run, self._ledger
        run.satellites = [self._satellites[name] for name in self.value("satellites") if name in self._satellites]
        run.links = list(self._links.values())
        self._add_tiles()
        run.dropped, run.sent_tiles = self._lives.dropped(), self._lives.sent()
        if self._lives.restarted and self.value("source") == "topic":
            # A life that died may have sent more than it last said.
            run.sent_tiles = max(run.sent_tiles, len(run.tiles) + run.older_tiles)
        if ledger is not None:
            run.in_custody = dict(zip(ledger.places[:MAX_PLACES], ledger.place_tiles[:MAX_PLACES], strict=False))
            if not ledger.end_of_stream:
                # Predictions are for a whole bag or folder: a camera, or a run that was interrupted, is not one.
                run.plans = [replace(p, predicted_exact_s=None, predicted_paper_s=None) for p in run.plans]
        run.gaps = tuple(self._gaps())
        self._add_truth()
        summary, files, failures = write_run(run, Path(self.value("run_directory") or "."))
        print_report(summary, report_console(), files)
        for failure in failures:
            self.get_logger().error(failure)
        return 0 if summary.exit_ok and not failures else 1

    def _gaps(self) -> Iterator[str]:
        if self._ledger is None:
            yield "sensing was never heard: what it sent and dropped is not known"
        if self._missed_batches:
            yield f"the recorder started after {self._missed_batches} batches were sent: it knows no times of these"
        if self.counters["records_dropped"]:
            yield f"of timings and transfers, the oldest {self.counters['records_dropped']} were dropped"
        if self._run.older_tiles:
            yield f"of the oldest {self._run.older_tiles} tiles only the number is reported"

    def _stored_tiles(self) -> int:
        return self._ground.store.count() if self._ground.store is not None else 0

    def _add_tiles(self) -> None:
        """What the ground has, of earlier lives of its process too."""
        if self._ground.store is None:
            return
        self._run.tiles = [
            TileRecord(*tile.key, tile.label, tile.acquired_s, tile.written_s, tile.copies)
            for tile in self._ground.store.read(MAX_TILES)
        ]
        self._run.older_tiles = max(0, self._stored_tiles() - len(self._run.tiles))

    def _add_truth(self) -> None:
        kind, path = self.value("source"), self._source_path()
        if kind == "topic" or not path.exists():
            # A camera, or a bag on the computer that senses: nothing to compare with here.
            return
        try:
            if kind == "bag":
                self._judge(path)
            if self.value("reference") and not self._stop.requested:
                self.get_logger().info("running the unsplit, uncompressed model on the same images for comparison")
                what = SourceKind(kind, path, self.value("image_topic"))
                frames = source_frames(what, take_manifest(kind, path, what.image_topic), self._pixels)
                checkpoint = checkpoint_path(self.value("checkpoint"))
                self._run.reference = unsplit_labels(checkpoint, self._spec, frames, lambda: self._stop.requested)
        except (ValueError, OSError) as error:
            # A source that breaks off is no reason to go without a report of what flew.
            self.get_logger().error(f"no comparison with the source: {error}")

    def _judge(self, bag: Path) -> None:
        try:
            self._run.truth = bag_truth(bag, self._spec.classes)
        except ValueError as error:
            self.get_logger().error(f"accuracy is not reported: {error}")

    def _source_path(self) -> Path:
        path = self.value("path")
        return bag_path(path) if self.value("source") == "bag" else Path(path)

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
