"""Sensing node: frames to batches of tiles, custody of them, and the commit of plans."""

from __future__ import annotations

import os
import sys
import threading
import time
from array import array
from collections import Counter, deque
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.time import Time
from std_msgs.msg import Header

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets_path import bag_path, checkpoint_path
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes import conversions as convert
from satllm_ros.nodes.base import FlightNode, NotReadyError
from satllm_ros.nodes.frames import (
    Frame,
    UnreadableFrame,
    count_source_frames,
    encoded_tiles,
    frame_from,
    source_frames,
    stamp_ns,
)
from satllm_ros.nodes.outlet import Outlet
from satllm_ros.nodes.parameters import BATCH_TILES, CHECKPOINT, EMULATE_LINKS, SATELLITES, Parameter
from satllm_ros.nodes.process import run
from satllm_ros.runtime.custody import Cause, Custody, CustodyLimits, Send, Verdict
from satllm_ros.runtime.identity import Envelope, new_boot_id
from satllm_ros.runtime.plan import Plan, PlanError
from satllm_ros.runtime.plan_switch import PlanCommitter, Readiness
from satllm_ros.runtime.tiles import Tile, TileError

# Causes in the ledger by which tiles were dropped; the others tell why batches were sent again.
NEVER_SENT = ("unreadable_image", "frame_too_small", "source_damaged", "camera_overflow")
DROP_CAUSES = (*NEVER_SENT, "attempts_exhausted")
# Peers on this computer are discovered well within this.
DISCOVERY_S = 2.0
# Far more than the frames that can arrive between the two versions of one.
RECENT_STAMPS = 64
TICK_PERIOD_S = 0.1
LEDGER_PERIOD_S = 1.0
# Frames looked at before the run, for the size of an upload that the planner needs.
PEEKED_FRAMES = 20


class SensingNode(FlightNode):
    """Reads a bag, a folder or a camera topic, sends batches to the first satellite, answers for every tile."""

    PARAMETERS = (
        CHECKPOINT,
        SATELLITES,
        EMULATE_LINKS,
        BATCH_TILES,
        Parameter("source", "topic", "Where images come from", choices=("topic", "bag", "folder")),
        Parameter("path", "", "Bag or folder to read; 'demo' is the bag shipped here"),
        Parameter("image_topic", "", "Image topic inside the bag; empty: the only one there is"),
        Parameter("source_id", "", "Name that tiles carry as their source; empty: the path's or topic's own"),
        Parameter("upload_encoding", "jpeg", "How tiles travel to the first satellite", choices=("jpeg", "rgb8")),
        Parameter("window_batches", 6, "Batches W in flight, sent and not yet stored", "batch", 1, graph.MAX_CREDITS),
        Parameter(
            "copies_batches",
            512,
            "Batches kept until the ground has them; when full, a bag waits, a camera drops",
            "batch",
            1,
        ),
        Parameter(
            "camera_tiles", 1024, "Tiles of a camera that may wait to be sent; the oldest are dropped", "tile", 1
        ),
        Parameter("flush_s", 1.0, "A camera's incomplete batch is sent after so long", "s", 0.01, 3600.0),
        Parameter(
            "stall_s", 20.0, "With no acknowledgement for so long, the oldest batch is sent again", "s", 0.1, 86400.0
        ),
    )

    def __init__(self) -> None:
        super().__init__("sensing")
        self._since_s = time.monotonic()
        self._reader: threading.Thread | None = None
        self._stop_reader = threading.Event()
        self._pump_wanted = self.create_guard_condition(self._pump)
        self._ledger_dirty = False
        self._ledger: Any = None
        self.every(TICK_PERIOD_S, self._tick)
        self.every(LEDGER_PERIOD_S, self._mark_ledger)

    def configure(self) -> None:
        spec = read_spec(checkpoint_path(self.value("checkpoint")))
        self._model_id, self._height, self._width = spec.model_id, spec.image_height, spec.image_width
        self._committer = PlanCommitter(model_id=spec.model_id, blocks=spec.blocks, known=self.value("satellites"))
        self._jpeg = self.value("upload_encoding") == "jpeg"
        # Configured anew, it counts batches anew: they must not be taken for those of before.
        self._boot_id = new_boot_id()
        limits = CustodyLimits(self.value("window_batches"), self.value("copies_batches"), self.value("stall_s"))
        self._custody: Custody[list[Tile]] = Custody(self._boot_id, limits)
        self._lock = threading.Lock()
        self._fresh: deque[Tile] = deque()
        self._last_fresh_s = 0.0
        self._frames_read = 0
        self._recent_stamps: deque[int] = deque(maxlen=RECENT_STAMPS)
        self._acquired_tiles = 0
        self._uploaded_bytes = 0
        self._drops: Counter[str] = Counter()
        self._end_of_stream = False
        self._expected_batches = 0
        self._peeked_tile_bytes = 0.0
        self._path = bag_path(self.value("path")) if self.value("source") == "bag" else Path(self.value("path"))
        self._source_id = self.value("source_id") or (
            self.root + "/image" if self.value("source") == "topic" else self._path.resolve().name
        )
        if self.value("source") != "topic":
            self._peek()

    def activate(self) -> None:
        self._refuse_a_second_graph()
        emulated = self.value("emulate_links")
        satellites = self.value("satellites")
        self._outlet = Outlet(
            self, graph.IMAGES_INBOX, graph.IMAGES_OUTBOX, graph.SENSING, satellites, emulated=emulated
        )
        self._plan_active = self.publish_on(graph.PLAN_ACTIVE)
        self._ledger = self.publish_on(graph.LEDGER)
        self.listen_to(graph.BATCH_ACK, self._on_ack)
        self.listen_to(graph.PLAN_PROPOSED, self._on_plan)
        for satellite in satellites:
            self.listen_to(graph.STATUS, self._on_status, satellite)
        if self.value("source") == "topic":
            self.listen_to(graph.IMAGE, self._on_image)
            self.listen_to(graph.IMAGE_COMPRESSED, self._on_image)
        if self._committer.active is not None:
            self._announce(self._committer.active)
        self._publish_ledger()

    def _refuse_a_second_graph(self) -> None:
        """Two graphs of one name in one domain would mix their tiles, and each report the other's."""
        if time.monotonic() - self._since_s < DISCOVERY_S:
            raise NotReadyError("looking whether another graph of this name is running")
        if self.count_publishers(f"{self.root}/{graph.LEDGER.of()}"):
            domain = os.environ.get("ROS_DOMAIN_ID", "0")
            raise ValueError(
                f"another graph runs in namespace {self.root or '/'} of ROS domain {domain}: choose another namespace"
                " or ROS_DOMAIN_ID; one that was killed is forgotten after 20 s"
            )

    def deactivate(self) -> None:
        self._stop_reader.set()
        if self._reader is not None:
            self._reader.join()
            self._reader = None
        self._stop_reader.clear()
        self._ledger = None

    # Images in

    def _peek(self) -> None:
        """Look at the first frames: how many batches there will be, and how large a tile is when uploaded."""
        kind, topic = self.value("source"), self.value("image_topic")
        frames = count_source_frames(kind, self._path, topic)
        sizes: list[int] = []
        for frame in islice(source_frames(kind, self._path, topic), PEEKED_FRAMES):
            if isinstance(frame, Frame):
                # Small frames are dropped in their turn.
                with suppress(TileError):
                    sizes += map(len, encoded_tiles(frame, self._height, self._width, jpeg=self._jpeg))
        if not sizes:
            raise TileError(
                f"none of the first {min(frames, PEEKED_FRAMES)} frames of {self._path} can be read and is at least"
                f" {self._width}x{self._height} pixels"
            )
        self._peeked_tile_bytes = sum(sizes) / len(sizes)
        tiles = frames * len(sizes) / min(frames, PEEKED_FRAMES)
        self._expected_batches = -(-round(tiles) // self.value("batch_tiles"))

    def _read(self) -> None:
        """Reader thread of a bag or folder: as fast as custody has room, never faster."""
        try:
            frames = source_frames(self.value("source"), self._path, self.value("image_topic"))
            # Activated again, it goes on where it stopped.
            for frame in islice(frames, self._frames_read, None):
                self._frames_read += 1
                self._acquire(frame, self.get_clock().now().nanoseconds)
                while self._is_full() and not self._stop_reader.wait(0.005):
                    pass
                if self._stop_reader.is_set():
                    return
        except (ValueError, OSError) as error:
            self.get_logger().error(f"reading stops: {error}")
            self._drop("source_damaged", 1)
        with self._lock:
            self._end_of_stream = True
        self._pump_wanted.trigger()

    def _is_full(self) -> bool:
        # One batch read ahead hides the reading; more would only age.
        with self._lock:
            return len(self._fresh) >= self.value("batch_tiles")

    def _on_image(self, message: Any) -> None:
        stamp = stamp_ns(message)
        # Camera drivers publish each image twice, raw and compressed, under one stamp.
        if stamp and stamp in self._recent_stamps:
            self.counters.add("same_stamp")
            return
        self._recent_stamps.append(stamp)
        acquired_ns = stamp or self.get_clock().now().nanoseconds
        self._acquire(frame_from(message, self._acquired_tiles + 1), acquired_ns)
        with self._lock:
            excess = len(self._fresh) - self.value("camera_tiles")
            for _ in range(excess):
                self._fresh.popleft()
        if excess > 0:
            self._drop("camera_overflow", excess, acquired=False)

    def _acquire(self, frame: Frame | UnreadableFrame, acquired_ns: int) -> None:
        if isinstance(frame, UnreadableFrame):
            self._drop("unreadable_image", 1)
            self.get_logger().error(f"frame {frame.number} of {self._source_id} is unreadable: {frame.reason}")
            return
        try:
            pieces = encoded_tiles(frame, self._height, self._width, jpeg=self._jpeg)
        except TileError as error:
            self._drop("frame_too_small", 1)
            self.get_logger().error(f"frame {frame.number} of {self._source_id}: {error}")
            return
        with self._lock:
            self._fresh.extend(Tile(frame.number, i, acquired_ns, piece) for i, piece in enumerate(pieces))
            self._acquired_tiles += len(pieces)
            self._uploaded_bytes += sum(map(len, pieces))
            self._last_fresh_s = time.monotonic()
        self._pump_wanted.trigger()

    def _drop(self, cause: str, tiles: int, *, acquired: bool = True) -> None:
        self.counters.add(cause, tiles)
        with self._lock:
            self._drops[cause] += tiles
            self._acquired_tiles += tiles if acquired else 0
        self._ledger_dirty = True

    # Batches out

    def _pump(self) -> None:
        """Hand complete batches to custody, and send what the window allows."""
        if self.state != "active":
            return
        now_s = time.monotonic()
        while self._custody.has_room and (tiles := self._next_batch(now_s)):
            self._custody.accept(tiles, len(tiles))
            self._ledger_dirty = True
        plan = self._committer.active
        if plan is None or not self._outlet.connected(plan.satellites[0]):
            return
        for send in self._custody.sendable(plan.epoch, now_s):
            self._send(send, plan)
            self._ledger_dirty = True

    def _next_batch(self, now_s: float) -> list[Tile]:
        size = self.value("batch_tiles")
        if self._custody.has_ready(now_s):
            return []
        with self._lock:
            stale = self.value("source") == "topic" and now_s - self._last_fresh_s > self.value("flush_s")
            if len(self._fresh) >= size or (self._fresh and (self._end_of_stream or stale)):
                return [self._fresh.popleft() for _ in range(min(size, len(self._fresh)))]
        return []

    def _send(self, send: Send[list[Tile]], plan: Plan) -> None:
        tiles = send.payload
        envelope = Envelope(
            batch=send.batch,
            sender=graph.SENSING,
            destination=plan.satellites[0],
            epoch=plan.epoch,
            plan_hash=plan.plan_hash,
            low_water=self._custody.low_water(plan.epoch),
            model_id=self._model_id,
            source_id=self._source_id,
            frames=tuple(tile.frame for tile in tiles),
            tile_indices=tuple(tile.tile_index for tile in tiles),
        )
        data = array("B")
        for tile in tiles:
            data.frombytes(tile.data)
        message = m.ImageBatch(
            header=Header(
                stamp=Time(nanoseconds=min(tile.acquired_ns for tile in tiles)).to_msg(), frame_id=self._source_id
            ),
            envelope=convert.envelope_to(envelope),
            encoding=m.ImageBatch.ENCODING_JPEG if self._jpeg else m.ImageBatch.ENCODING_RGB8,
            height=self._height,
            width=self._width,
            tile_bytes=[len(tile.data) for tile in tiles],
            crc32=convert.seal(envelope, 0, data),
            data=data,
        )
        self._outlet.send(message, envelope.destination)
        self.counters.add("sent")

    def _on_ack(self, message: m.BatchAck) -> None:
        try:
            verdict, cause = Verdict(message.verdict), Cause(message.cause)
        except ValueError:
            self.counters.add("malformed_ack")
            return
        # Only the ground can say that the ground has it.
        if verdict is Verdict.DELIVERED and message.sender != graph.GROUND:
            self.counters.add("malformed_ack")
            return
        self._custody.on_ack(convert.batch_from(message.batch), verdict, cause, time.monotonic(), message.sender)
        self._ledger_dirty = True
        self._pump()

    # Plans

    def _on_plan(self, message: m.Plan) -> None:
        try:
            committed = self._committer.on_proposal(convert.plan_from(message))
        except PlanError as error:
            self.counters.add("plan_refused")
            self.get_logger().warning(f"plan refused: {error}")
            return
        self._commit(committed)

    def _on_status(self, message: m.SatelliteStatus) -> None:
        if message.readiness not in set(Readiness):
            self.counters.add("malformed_status")
            return
        self._commit(
            self._committer.on_status(
                message.satellite,
                Readiness(message.readiness),
                convert.epoch_from(message.proposed),
                message.proposed_hash,
            )
        )

    def _commit(self, plan: Plan | None) -> None:
        if plan is None:
            return
        self.counters.add("plans_committed")
        # The first batch of an empty chain may take the time of its slowest resource at each of them, twice under load.
        self._custody.be_patient(2 * (2 * len(plan.stages) + 1) * plan.predicted_cycle_s)
        chain = " -> ".join(f"{s.satellite} ({s.start}, {s.stop}]" for s in plan.stages)
        self.get_logger().info(f"plan {plan.epoch} {plan.plan_hash} is active: {chain}")
        self._announce(plan)

    def _announce(self, plan: Plan) -> None:
        """Tell all of the active plan, and let images flow."""
        self._plan_active.publish(convert.plan_to(plan, self.get_clock().now().to_msg()))
        if self._reader is None and self.value("source") != "topic":
            self._reader = threading.Thread(target=self._read, name="reader", daemon=True)
            self._reader.start()
        self._mark_ledger()
        self._pump()

    # Ledger

    def _tick(self) -> None:
        if self.state != "active":
            return
        self._custody.on_tick(time.monotonic())
        self._pump()
        if self._ledger_dirty:
            self._publish_ledger()

    def _mark_ledger(self) -> None:
        self._ledger_dirty = True

    def _publish_ledger(self) -> None:
        self._ledger_dirty = False
        if self._ledger is None:
            return
        tally = self._custody.tally()
        plan = self._committer.active
        with self._lock:
            causes = self._drops + self._custody.causes
            measured = self._acquired_tiles - self._drops["unreadable_image"] - self._drops["frame_too_small"]
            message = m.Ledger(
                source=self._source_id,
                boot_id=self._boot_id,
                end_of_stream=self._end_of_stream and not self._fresh,
                acquired_tiles=self._acquired_tiles,
                waiting_tiles=tally.waiting + len(self._fresh),
                in_flight_tiles=tally.in_flight,
                stored_tiles=tally.stored,
                delivered_tiles=tally.delivered,
                dropped_tiles=tally.dropped + sum(self._drops.values()),
                sent_batches=tally.sent_batches,
                resent_batches=tally.resent_batches,
                expected_batches=self._expected_batches,
                tile_bytes=self._uploaded_bytes / measured if measured else self._peeked_tile_bytes,
                causes=list(causes),
                cause_counts=list(causes.values()),
            )
        if plan is not None:
            message.epoch, message.plan_hash = convert.epoch_to(plan.epoch), plan.plan_hash
        message.header.stamp = self.get_clock().now().to_msg()
        self._ledger.publish(message)

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        if self.state != "active":
            return super().diagnose()
        tally = self._custody.tally()
        values = {"delivered_tiles": tally.delivered, "in_flight_tiles": tally.in_flight, **self._custody.causes}
        if self._committer.active is None:
            missing = ", ".join(sorted(self._committer.waiting_for))
            waiting = f"waiting for {missing} to be ready" if missing else "waiting for a plan"
            return DiagnosticStatus.WARN, waiting, values
        return DiagnosticStatus.OK, "streaming", values


def main() -> int:
    return run(lambda _: [SensingNode()])


if __name__ == "__main__":
    sys.exit(main())
