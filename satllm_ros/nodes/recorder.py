"""Recorder node: listens to a run, shows its progress, and writes its report when every tile is accounted for."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from rclpy.serialization import deserialize_message

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets_path import bag_path, checkpoint_path
from satllm_ros.data.bag import label_topic, read_messages
from satllm_ros.model.reference import UnsplitModel
from satllm_ros.model.spec import ModelSpec, read_spec
from satllm_ros.nodes import conversions as convert
from satllm_ros.nodes.base import FlightNode
from satllm_ros.nodes.frames import Frame, UnreadableFrame, source_frames, stamp_ns
from satllm_ros.nodes.parameters import BATCH_TILES, CHECKPOINT, SATELLITES, Parameter
from satllm_ros.nodes.process import Stop
from satllm_ros.nodes.sensing import DROP_CAUSES, NEVER_SENT
from satllm_ros.report.progress import Progress
from satllm_ros.report.record import (
    LinkRecord,
    PlanRecord,
    RunRecord,
    SatelliteRecord,
    StageRecord,
    TileRecord,
    TransferRecord,
)
from satllm_ros.report.tables import print_report, report_console
from satllm_ros.report.write import write_run
from satllm_ros.runtime.plan import PlanError, check_plan
from satllm_ros.runtime.tiles import TileError, cut_tiles

if TYPE_CHECKING:
    from satllm_ros.nodes.ground import GroundNode

Item = TypeVar("Item")

CHECK_PERIOD_S = 0.2
# Timings of the last batch travel beside its predictions and may come a little later.
SETTLE_S = 1.0
REFERENCE_BATCH = 64
# A camera flies for days: the report then covers its last records.
MAX_RECORDS = 100_000


class RecorderNode(FlightNode):
    """Observes; nothing in the graph depends on it."""

    PARAMETERS = (
        CHECKPOINT,
        SATELLITES,
        BATCH_TILES,
        Parameter("run_directory", "", "Folder the report is written to; empty: the working directory"),
        Parameter("source", "topic", "Where sensing gets images", choices=("topic", "bag", "folder")),
        Parameter("path", "", "Bag or folder that sensing reads, for true classes and the unsplit reference"),
        Parameter("image_topic", "", "Image topic inside the bag; empty: the only one there is"),
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
        self._run = RunRecord(
            source=graph.SENSING,
            ground=graph.GROUND,
            classes=self._spec.classes,
            tiles_per_batch=self.value("batch_tiles"),
        )
        self._satellites: dict[str, SatelliteRecord] = {}
        self._links: dict[tuple[str, str], LinkRecord] = {}

    def activate(self) -> None:
        for satellite in self.value("satellites"):
            self.listen_to(graph.STATUS, self._on_status, satellite)
            self.listen_to(graph.TIMING, self._on_timing, satellite)
        self.listen_to(graph.LINK_TRANSFER, self._on_transfer)
        self.listen_to(graph.LINK_STATE, self._on_link_state)
        self.listen_to(graph.PLAN_ACTIVE, self._on_plan)
        self.listen_to(graph.LEDGER, self._on_ledger)
        self._progress = Progress(report_console()).__enter__()

    def deactivate(self) -> None:
        self._end_progress()
        if not self._reported and self._run.stages:
            self._report()

    # What is heard

    def _on_status(self, message: m.SatelliteStatus) -> None:
        self._satellites[message.satellite] = SatelliteRecord(
            name=message.satellite,
            memory_bytes=message.memory_bytes,
            memory_budget_bytes=message.memory_budget_bytes,
            block_s=message.block_s,
            block_real_s=message.block_real_s,
            emulated=message.emulated,
        )

    def _on_timing(self, message: m.BatchTiming) -> None:
        try:
            setting = str(convert.setting_from(message.setting))
        except ValueError:
            self.counters.add("malformed_timing")
            return
        self._keep(
            self._run.stages,
            StageRecord(
                satellite=message.satellite,
                boot_id=message.batch.boot_id,
                sequence=message.batch.sequence,
                attempt=message.batch.attempt,
                start=message.start,
                stop=message.stop,
                tiles=message.tiles,
                received_s=message.received_s,
                compute_start_s=message.compute_start_s,
                compute_stop_s=message.compute_stop_s,
                sent_s=message.sent_s,
                wait_s=message.wait_s,
                decode_s=message.decode_s,
                compute_s=message.compute_s,
                compute_real_s=message.compute_real_s,
                encode_s=message.encode_s,
                publish_s=message.publish_s,
                fp32_bytes=message.fp32_bytes,
                frame_bytes=message.frame_bytes,
                wire_bytes=message.wire_bytes,
                setting=setting,
            ),
        )

    def _keep(self, records: list[Item], record: Item) -> None:
        records.append(record)
        if len(records) > MAX_RECORDS:
            self.counters.add("records_dropped", MAX_RECORDS // 10)
            del records[: MAX_RECORDS // 10]

    def _on_transfer(self, message: m.LinkTransfer) -> None:
        self._keep(
            self._run.transfers,
            TransferRecord(
                sender=message.sender,
                receiver=message.receiver,
                boot_id=message.batch.boot_id,
                sequence=message.batch.sequence,
                attempt=message.batch.attempt,
                wire_bytes=message.wire_bytes,
                start_s=message.start_s,
                stop_s=message.stop_s,
            ),
        )

    def _on_link_state(self, message: m.LinkState) -> None:
        pair = (message.sender, message.receiver)
        self._links[pair] = LinkRecord(*pair, message.rate_bps, message.propagation_s)

    def _on_plan(self, message: m.Plan) -> None:
        try:
            plan = convert.plan_from(message)
            check_plan(plan, model_id=self._spec.model_id, blocks=self._spec.blocks, known=self.value("satellites"))
        except PlanError:
            self.counters.add("bad_plan")
            return
        if any(known.plan_hash == plan.plan_hash for known in self._run.plans):
            return
        self._run.plans.append(
            PlanRecord(
                epoch=(plan.epoch.incarnation, plan.epoch.counter),
                plan_hash=plan.plan_hash,
                stages=tuple((s.satellite, s.start, s.stop, str(s.setting)) for s in plan.stages),
                downlink=plan.downlink,
                explanation=plan.explanation,
                predicted_exact_s=plan.predicted_makespan_s or None,
                predicted_paper_s=plan.predicted_paper_s or None,
            )
        )
        if self._progress is not None:
            self._progress.console.print(plan.explanation, highlight=False, markup=False, soft_wrap=True)

    def _on_ledger(self, message: m.Ledger) -> None:
        self._ledger = message
        if self._progress is not None and message.sent_batches:
            tiles_per_batch = self.value("batch_tiles")
            self._progress.update(
                now_s=time.monotonic(),
                batches_done=-(-message.delivered_tiles // tiles_per_batch),
                batches_total=message.expected_batches or None,
                tiles_done=message.delivered_tiles,
            )

    # What is told

    def _check(self) -> None:
        ledger = self._ledger
        if self.state != "active" or self._reported or ledger is None or not ledger.end_of_stream:
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
        self._reported = True
        run, ledger = self._run, self._ledger
        run.satellites = [self._satellites[name] for name in self.value("satellites") if name in self._satellites]
        run.links = list(self._links.values())
        if ledger is not None:
            counts = dict(zip(ledger.causes, ledger.cause_counts, strict=False))
            run.dropped = {cause: counts[cause] for cause in DROP_CAUSES if cause in counts}
            run.sent_tiles = ledger.acquired_tiles - sum(counts.get(cause, 0) for cause in NEVER_SENT)
            if not ledger.end_of_stream:
                # Predictions are for a whole bag or folder: a camera, or a run that was interrupted, is not one.
                run.plans = [replace(p, predicted_exact_s=None, predicted_paper_s=None) for p in run.plans]
        if self._ground.store is not None:
            run.tiles = [
                TileRecord(*t.key, t.label, t.acquired_s, t.written_s, t.copies) for t in self._ground.store.read()
            ]
        self._add_truth()
        summary, files = write_run(run, Path(self.value("run_directory") or "."))
        print_report(summary, report_console(), files)
        return 0 if summary.exit_ok else 1

    def _add_truth(self) -> None:
        kind, path = self.value("source"), self._source_path()
        if kind == "topic" or not path.exists():
            # A camera, or a bag on the computer that senses: nothing to compare with here.
            return
        try:
            if kind == "bag":
                self._run.truth = bag_truth(path, len(self._spec.classes))
            if self.value("reference") and not self._stop.requested:
                self.get_logger().info("running the unsplit, uncompressed model on the same images for comparison")
                self._run.reference = self._reference(kind, path)
        except (ValueError, OSError) as error:
            # A source that breaks off is no reason to go without a report of what flew.
            self.get_logger().error(f"no comparison with the source: {error}")

    def _source_path(self) -> Path:
        path = self.value("path")
        return bag_path(path) if self.value("source") == "bag" else Path(path)

    def _reference(self, kind: str, path: Path) -> dict[tuple[int, int], int]:
        """Class of every (frame, tile) by the unsplit model; empty if the process is asked to stop meanwhile."""
        classify = UnsplitModel(checkpoint_path(self.value("checkpoint")), self._spec)
        labels: dict[tuple[int, int], int] = {}
        for tiles in batched(_tiles(source_frames(kind, path, self.value("image_topic")), self._spec), REFERENCE_BATCH):
            if self._stop.requested:
                return {}
            best = classify(np.stack([image for _, image in tiles]))
            labels |= zip((key for key, _ in tiles), best, strict=True)
        return labels

    def _end_progress(self) -> None:
        progress, self._progress = self._progress, None
        if progress is not None:
            progress.__exit__(None, None, None)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter; itertools has it from Python 3.12 on."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _tiles(frames: Iterable[Frame | UnreadableFrame], spec: ModelSpec) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    for frame in frames:
        if isinstance(frame, UnreadableFrame):
            continue
        try:
            tiles = cut_tiles(frame.rgb, spec.image_height, spec.image_width)
        except TileError:
            continue
        for index, tile in enumerate(tiles):
            yield (frame.number, index), tile


def bag_truth(path: Path, classes: int) -> dict[tuple[int, int], int]:
    """True class of (frame, tile 0) from a bag's label topic; empty if it has none."""
    topic = label_topic(path)
    if topic is None:
        return {}
    truth = {}
    for recorded in read_messages(path, [topic]):
        # A damaged record ends in rmw's own error, a RuntimeError: that class stays unknown.
        with suppress(RuntimeError):
            label = deserialize_message(recorded.cdr, m.SceneLabel)
            if label.label < classes:
                truth[(stamp_ns(label), 0)] = label.label
    return truth
