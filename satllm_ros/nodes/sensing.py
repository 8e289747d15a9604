"""Sensing node: frames to batches of tiles, custody of them, and the commit of plans."""

# long: to be split: the plan that is kept, custody, messages

from __future__ import annotations

import os
import sqlite3
import sys
import time
from array import array
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.time import Time
from std_msgs.msg import Header

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.acquisition.drop_causes import DROP_CAUSES
from satllm_ros.acquisition.played import READY_FOR_IMAGES, PlayedStream
from satllm_ros.acquisition.source_buffer import SourceBuffer
from satllm_ros.acquisition.source_identity import CameraIdentity
from satllm_ros.acquisition.unheard import SequenceGaps
from satllm_ros.acquisition.waiting import PlanView
from satllm_ros.assets.paths import bag_path, checkpoint_path
from satllm_ros.data.folder import list_folder, printable
from satllm_ros.data.manifest import CAMERA, Manifest
from satllm_ros.data.sources import take_manifest
from satllm_ros.data.tiles import Tile
from satllm_ros.model.spec import ModelSpec, read_spec
from satllm_ros.nodes.base import diagnostic_keys, qos
from satllm_ros.nodes.base.flight_node import FlightNode, NotReadyError
from satllm_ros.nodes.base.hello import HelloThread
from satllm_ros.nodes.base.host_clock import host_clock
from satllm_ros.nodes.base.parameters import (
    BATCH_TILES,
    CHECKPOINT,
    EMULATE_LINKS,
    LINK_CONTROLLERS,
    PLAN_PUBLIC_KEY,
    RECURSIVE,
    SATELLITES,
    STATE_DIRECTORY,
    Parameter,
)
from satllm_ros.nodes.base.process import run
from satllm_ros.nodes.base.runs import facts_of, join_run
from satllm_ros.nodes.hop.outlet import Outlet
from satllm_ros.nodes.images.camera import Camera
from satllm_ros.nodes.images.frames import SourceKind
from satllm_ros.nodes.images.image_source import ImageSource
from satllm_ros.nodes.images.pixel_parameters import PIXEL_PARAMETERS, rules_of
from satllm_ros.nodes.images.waits import Waits
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire.ledger import books_of, ledger_message
from satllm_ros.protocol import sensing as act
from satllm_ros.protocol.checksum import seal
from satllm_ros.protocol.custody import CustodyLimits, State
from satllm_ros.protocol.identity import BatchId, Envelope
from satllm_ros.protocol.plan import Plan, PlanError, check_plan
from satllm_ros.protocol.sensing import SendBatch, SensingLimits, SensingProtocol
from satllm_ros.protocol.vocabulary import FINAL, Verdict
from satllm_ros.signing.signing import check_signature, parse_public_key
from satllm_ros.storage.custody_store import CustodyStore
from satllm_ros.storage.frame_journal import JOURNAL_NAME, FrameJournal
from satllm_ros.storage.kept import keep, kept
from satllm_ros.storage.loss_journal import LossJournal
from satllm_ros.storage.run_identity import read_run
from satllm_ros.supervisor.parent import PLAN, tell_parent

# Peers on this computer are discovered well within this, and a graph that lives publishes its ledger twice.
DISCOVERY_S = 2.0
TICK_PERIOD_S = 0.1
LEDGER_PERIOD_S = 1.0


class SensingNode(FlightNode):
    """Reads a bag, a folder or a camera topic, sends batches to the first satellite, answers for every tile.

    A shell around `SensingProtocol`: what is heard goes in, what it answers is carried out in order.
    """

    KEYS = diagnostic_keys.SENSING
    PARAMETERS = (
        CHECKPOINT,
        SATELLITES,
        EMULATE_LINKS,
        LINK_CONTROLLERS,
        BATCH_TILES,
        PLAN_PUBLIC_KEY,
        STATE_DIRECTORY,
        Parameter("source", "topic", "Where images come from", choices=("topic", "bag", "folder")),
        Parameter("path", "", "Bag or folder to read; 'demo' is the bag shipped here"),
        RECURSIVE,
        Parameter(
            "image_topic",
            "",
            "Image topic: inside a bag, empty: the only one there is; of a camera, empty: image or image/compressed",
        ),
        Parameter(
            "rate", 0.0, "Speed of a bag against its recorded times; 0: as fast as the chain takes it", "-", 0.0, 1e6
        ),
        Parameter(
            "expected_images",
            0,
            "Images that will be published on a camera's topic, as by a bag that is played; then the stream is over."
            " 0: nobody knows",
            "-",
            0,
        ),
        *PIXEL_PARAMETERS,
        Parameter("upload_encoding", "jpeg", "How tiles travel to the first satellite", choices=("jpeg", "rgb8")),
        Parameter("window_batches", 6, "Batches W in flight, sent and not yet stored", "batch", 1, graph.MAX_CREDITS),
        Parameter(
            "copies_batches",
            512,
            "Batches kept until the ground has them; when full, a bag waits, a camera drops",
            "batch",
            1,
        ),
        Parameter("durable", False, "Keep a camera's batches on disk too, so that they outlive this process"),
        Parameter(
            "camera_tiles",
            1024,
            "Tiles of a camera that may wait to be cut; beyond, the oldest images are dropped, whole",
            "tile",
            1,
        ),
        Parameter("flush_s", 1.0, "A camera's incomplete batch is sent after so long", "s", 0.01, 3600.0),
        Parameter(
            "stall_s", 20.0, "With no acknowledgement for so long, the oldest batch is sent again", "s", 0.1, 86400.0
        ),
        Parameter(
            "delivery_s",
            60.0,
            "With no delivery and no word from its store for so long, a stored batch is sent again",
            "s",
            1.0,
            86400.0,
        ),
        Parameter(
            "drain_s", 30.0, "The stream is paused no longer than this for a plan that needs memory", "s", 1.0, 3600.0
        ),
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("sensing", **kwargs)
        self._hello = HelloThread(self, graph.SENSING)
        self._pump_wanted = self.create_guard_condition(self._pump)
        self._ledger_dirty = False
        self._ledger: Any = None
        self._rival_check: Any = None
        self._store: CustodyStore | None = None
        self._journal: LossJournal | None = None
        self._frames: FrameJournal | None = None
        self._camera: Camera | None = None
        self._played: PlayedStream | None = None
        self._outlet: Outlet | None = None
        self.every(TICK_PERIOD_S, self._tick)
        self.every(LEDGER_PERIOD_S, self._mark_ledger)

    def configure(self) -> None:
        spec = read_spec(checkpoint_path(self.value("checkpoint")))
        self._model_id, self._blocks = spec.model_id, spec.blocks
        self._height, self._width = spec.image_height, spec.image_width
        self._pixels = rules_of(self, spec)
        self._satellites = self.value("satellites")
        self._public_key = parse_public_key(self.value("plan_public_key"))
        self._jpeg = self.value("upload_encoding") == "jpeg"
        self._state_directory = self.folder("state_directory")
        manifest = self._join(spec)
        # Configured anew, it counts batches anew: they must not be taken for those of before.
        self._boot_id = self._hello.begin_life()
        custody = CustodyLimits(
            self.value("window_batches"),
            self.value("copies_batches"),
            self.value("stall_s"),
            delivery_s=self.value("delivery_s"),
        )
        self._protocol: SensingProtocol[list[Tile]] = SensingProtocol(
            self._boot_id,
            SensingLimits(custody, drain_s=self.value("drain_s")),
            model_id=spec.model_id,
            blocks=spec.blocks,
            known=self._satellites,
            persisted=self._persisted_plan(),
        )
        self._started = False
        # Sequences of batches that should be on disk and are not.
        self._unkept: set[int] = set()
        self._told_obstacles: dict[str, str] = {}
        self._waits = Waits(self)
        self._frames = FrameJournal(self._state_directory / JOURNAL_NAME, run_id=self._run_id)
        self._open_source(manifest)
        # A bag or folder is read again.
        self._restored_tiles = self._restore() if self.value("durable") and self._what.is_live else 0
        if self._what.is_live:
            self._journal = LossJournal(self._state_directory / "sensing.journal", self._run_id)
            if self._journal.lost_tiles:
                self.get_logger().warning(f"{self._journal.lost_tiles} tiles were lost with earlier lives of this node")
        self._configured_s = time.monotonic()
        self._rival = False
        self._rival_check = qos.subscription(
            self, self.counters, graph.LEDGER, f"{self.root}/{graph.LEDGER.of()}", self._on_other_ledger
        )

    def _join(self, spec: ModelSpec) -> Manifest:
        """Begin the run of the state directory, or go on with it; returns what its source holds.

        A folder that was changed while it is flown is still flown, those of its images that the run began with; each
        that is gone or changed is dropped by its cause.
        """
        kind, path = self.value("source"), self.value("path")
        self._what = SourceKind(
            kind, bag_path(path) if kind == "bag" else Path(path), self.value("image_topic"), self.value("rate")
        )
        recursive = self.value("recursive")
        manifest = take_manifest(kind, self._what.path, self._what.image_topic, recursive=recursive)
        if kind == "folder" and (left_out := list_folder(self._what.path, recursive=recursive).sentence):
            self.get_logger().info(f"of folder {printable(str(self._what.path))} {left_out}")
        before = read_run(self._state_directory)
        began_with = before.facts.source if before is not None else None
        if began_with is not None and began_with.is_carried_on_by(manifest):
            if difference := began_with.difference(manifest):
                said = printable(f"the source has changed: the run {difference}; what came later is not flown")
                self.get_logger().warning(said)
            manifest = began_with
        run = join_run(self, self._state_directory, facts_of(spec, source=manifest, pixels=self._pixels), begin=True)
        self._run_id = run.run_id if run is not None and run.run_id is not None else 0
        return manifest

    def _open_source(self, manifest: Manifest) -> None:
        assert self._frames is not None
        live = manifest.kind == CAMERA
        self._identity, self._gaps = CameraIdentity(self._boot_id), SequenceGaps()
        source_id = self._identity.source_id if live else manifest.source_id
        self._source = ImageSource(
            self,
            self._what,
            source_id,
            SourceBuffer(self.value("batch_tiles"), flush_s=self.value("flush_s") if live else None),
            height=self._height,
            width=self._width,
            jpeg=self._jpeg,
            # A reader has a thread of its own; everything else happens on the executor's.
            on_tiles=self._pump_wanted.trigger,
            journal=self._frames,
            manifest=None if live else manifest,
            camera_tiles=self.value("camera_tiles"),
            expected_frames=self.value("expected_images") if live else 0,
            pixels=self._pixels,
        )
        if not live:
            self._source.peek()

    def activate(self) -> None:
        self._refuse_a_second_graph()
        emulated = self.value("emulate_links")
        self._outlet = Outlet(
            self,
            graph.IMAGES_INBOX,
            graph.IMAGES_OUTBOX,
            graph.SENSING,
            self._satellites,
            emulated=emulated,
            controllers=self.value("link_controllers"),
        )
        self._plan_active = self.publish_on(graph.PLAN_ACTIVE)
        self._switch_state = self.publish_on(graph.SWITCH_STATE)
        self._custody_query = self.publish_on(graph.CUSTODY_QUERY)
        self._ledger = self.publish_on(graph.LEDGER)
        self.listen_to(graph.BATCH_ACK, self._on_ack)
        self.listen_to(graph.PLAN_PROPOSED, self._on_plan)
        for satellite in self._satellites:
            self.listen_to(graph.STATUS, partial(self._on_status, satellite), satellite)
            self.listen_to(graph.TIMING, partial(self._on_timing, satellite), satellite)
        if self._what.is_live:
            self._camera = Camera(self, self._what.image_topic, self._on_image, self._gaps)
            expected = self.value("expected_images")
            self._played = PlayedStream(expected) if expected else None
        now_s = time.monotonic()
        if not self._started:
            self._started = True
            self._protocol.on_connections(self._unconnected(), now_s)
            self._carry_out(self._protocol.start(now_s))
        else:
            # The publishers are new ones: what was latched on the old ones is gone.
            plan = self._protocol.active
            self._carry_out([act.Tell(self._protocol.switch), *([act.Announce(plan)] if plan is not None else [])])
        self._publish_ledger()
        self._hello.signs()
        self._hello.set_ready(True)

    def _refuse_a_second_graph(self) -> None:
        """Two graphs of one name in one domain would mix their tiles, and each report the other's."""
        if time.monotonic() - self._configured_s < DISCOVERY_S:
            raise NotReadyError("looking whether another graph of this name is running")
        if self._rival:
            domain = os.environ.get("ROS_DOMAIN_ID", "0")
            raise ValueError(
                f"another graph runs in namespace {self.root or '/'} of ROS domain {domain}: choose another namespace"
                " or ROS_DOMAIN_ID"
            )

    def _on_other_ledger(self, message: m.Ledger) -> None:
        # Heard, not merely seen: DDS lists a publisher that was killed for another 20 s.
        self._rival = self._rival or message.boot_id != self._boot_id

    def deactivate(self) -> None:
        self._hello.set_ready(False)
        if self._outlet is not None:
            self._outlet.close()
            self._outlet = None
        self._source.stop()
        if self._camera is not None:
            self._camera.close()
        self._publish_ledger(closed=True)
        self._ledger = None

    def cleanup(self) -> None:
        if self._rival_check is not None:
            self.destroy_subscription(self._rival_check)
            self._rival_check = None
        for opened in (self._store, self._journal, self._frames):
            if opened is not None:
                opened.close()
        self._store = self._journal = self._frames = None

    # What the next life must know

    def _persisted_plan(self) -> Plan | None:
        """The plan that an earlier life committed; None if there is none that this one could fly."""
        content = kept(self._plan_file, self._run_id)
        if content is None:
            return None
        try:
            plan = convert.plan_from(deserialize_message(content, m.Plan))
            check_plan(plan, model_id=self._model_id, blocks=self._blocks, known=self._satellites)
            check_signature(plan, self._public_key)
        # Bytes that are no message end in rmw's own error, a RuntimeError.
        except (PlanError, RuntimeError) as error:
            self.get_logger().warning(f"the plan kept in {self._plan_file} is not flown: {error}")
            return None
        return plan

    @property
    def _plan_file(self) -> Path:
        return self._state_directory / "sensing.plan"

    def _restore(self) -> int:
        """Take up what the store holds; returns how many tiles."""
        self._store = CustodyStore(self._state_directory / "sensing.custody.sqlite", run_id=self._run_id)
        batches = self._store.read()
        ids = [self._protocol.custody.restore(tiles, len(tiles)).sequence for tiles in batches]
        self._store.restart(self._boot_id, list(zip(ids, batches, strict=True)))
        return sum(map(len, batches))

    # What is heard

    def _on_plan(self, message: m.Plan) -> None:
        try:
            plan = convert.plan_from(message)
            check_signature(plan, self._public_key)
            actions = self._protocol.on_proposal(plan, time.monotonic())
        except PlanError as error:
            self.ignore("plan_refused", f"plan refused: {error}")
            return
        self._carry_out(actions)
        self._pump()

    def _on_status(self, satellite: str, message: m.SatelliteStatus) -> None:
        try:
            report = convert.report_from(message)
        except convert.WireError:
            self.counters.add("malformed_status")
            return
        if report.satellite != satellite:
            self.counters.add("malformed_status")
            return
        if self._hello.is_stuck(satellite):
            # Its executor goes on, or a worker does; not both.
            self.counters.add("stuck_status")
            return
        self._carry_out(self._protocol.on_report(report, time.monotonic()))

    def _take_signs(self, now_s: float) -> None:
        for sign in self._hello.signs():
            self._carry_out(self._protocol.on_hello(sign.name, sign.boot_id, now_s))

    def _on_timing(self, satellite: str, message: m.BatchTiming) -> None:
        self._protocol.custody.on_passed(convert.batch_from(message.batch), satellite)

    def _on_ack(self, message: m.BatchAck) -> None:
        try:
            ack = convert.ack_from(message)
        except convert.WireError:
            self.counters.add("malformed_ack")
            return
        # Delivered or refused for good says the ground, or a store that heard it from the ground; all else only
        # satellites say.
        of_ground = ack.verdict is Verdict.DELIVERED or (ack.verdict is Verdict.REFUSED and ack.cause in FINAL)
        if ack.sender not in self._satellites and not (of_ground and ack.sender == graph.GROUND):
            self.counters.add("malformed_ack")
            return
        why = f" ({ack.cause.name.lower()})" if ack.verdict is Verdict.REFUSED else ""
        self.get_logger().debug(f"{ack.batch} is {ack.verdict.name.lower()}{why}, says {ack.sender}")
        self._carry_out(self._protocol.on_ack(ack, time.monotonic()))
        self._pump()

    def _on_image(self, message: Any, topic: str) -> None:
        self._source.on_image(message, self._identity, topic)
        # At once: killed before its tiles are in custody, it is lost, and the next life must say so.
        self._note_risk()

    def _tick(self) -> None:
        if self.state != "active":
            return
        if self._camera is not None:
            self._camera.tick()
        now_s = time.monotonic()
        self._look_for_the_end(now_s)
        self._take_signs(now_s)
        self._carry_out(self._protocol.on_connections(self._unconnected(), now_s))
        self._carry_out(self._protocol.on_tick(now_s))
        self._pump()
        self._tell_obstacles()
        self._tell_waits(now_s)
        if self._ledger_dirty:
            self._publish_ledger()

    def _look_for_the_end(self, now_s: float) -> None:
        """Of a stream whose length is known."""
        camera, played = self._camera, self._played
        if camera is None or played is None or not played.is_over(camera.heard_images, camera.publishers, now_s):
            return
        self._played = None
        self._source.end()

    @property
    def _way(self) -> Outlet:
        """To the first stage, there while this node is active."""
        assert self._outlet is not None
        return self._outlet

    def _unconnected(self) -> list[str]:
        return [name for name in self._satellites if not self._way.connected(name)]

    # What is done

    def _carry_out(self, actions: Sequence[act.Action[list[Tile]]]) -> None:
        for action in actions:
            self._ledger_dirty = True
            if isinstance(action, act.SendBatch):
                self._send(action)
            elif isinstance(action, act.Persist):
                self._persist(action.plan)
            elif isinstance(action, act.Announce):
                self._announce(action.plan)
            elif isinstance(action, act.Tell):
                self._switch_state.publish(convert.switch_to(action.state, self.stamp()))
            else:
                self.counters.add("asked", len(action.query.batches))
                self._custody_query.publish(convert.query_to(action.query, self.stamp()))

    def _persist(self, plan: Plan) -> None:
        self.counters.add("plans_committed")
        try:
            keep(self._plan_file, self._run_id, serialize_message(convert.plan_to(plan, Time().to_msg())))
        except OSError as error:
            # This life can fly without; the next one will wait for a planner.
            self.complain("persist_failed", f"plan {plan.epoch} is not kept for the next life of this node: {error}")

    def _announce(self, plan: Plan) -> None:
        """Tell all of the active plan, and let images flow."""
        # The first batch of an empty chain may take the time of its slowest resource at each of them, twice under load.
        cycle_s = 2 * plan.predicted_cycle_s
        self._protocol.be_patient((2 * len(plan.stages) + 1) * cycle_s, cycle_s)
        chain = " -> ".join(f"{s.satellite} ({s.start}, {s.stop}]" for s in plan.stages)
        self.get_logger().info(f"plan {plan.epoch} {plan.plan_hash} is active: {chain}")
        self._plan_active.publish(convert.plan_to(plan, self.stamp()))
        tell_parent(PLAN)
        self._source.start()
        if self._camera is not None:
            self.get_logger().info(f"{READY_FOR_IMAGES} of {' or '.join(self._camera.topics)}")

    def _pump(self) -> None:
        """Hand complete batches to custody, as long as nothing older waits to be sent."""
        if self.state != "active":
            return
        now_s = time.monotonic()
        custody = self._protocol.custody
        while custody.has_room and not custody.waiting_batches and (tiles := self._taken(now_s)):
            batch = custody.accept(tiles, len(tiles))
            self._keep(batch, tiles)
            self._ledger_dirty = True
            self._carry_out(self._protocol.on_accepted(now_s))
        self._note_risk()

    def _note_risk(self) -> None:
        if self._journal is not None:
            self._journal.note(self._at_risk_tiles())

    def _taken(self, now_s: float) -> list[Tile]:
        try:
            return self._source.take(now_s)
        except sqlite3.Error as error:
            # What the journal does not know of is not sent: the source waits, or a camera drops and counts.
            self.complain("journal_failed", f"nothing new is sent until the journal can be written: {error}")
            return []

    def _keep(self, batch: BatchId, tiles: list[Tile]) -> None:
        if self._store is None:
            return
        try:
            self._store.add(self._boot_id, batch.sequence, tiles)
        except sqlite3.Error as error:
            # Flown all the same: a copy in memory is better than none.
            self._unkept.add(batch.sequence)
            self.complain("store_failed", f"{batch} is not kept for the next life of this node: {error}")

    def _forget_delivered(self) -> None:
        if self._store is None:
            return
        try:
            held = {place.batch.sequence for place in self._protocol.custody.places()}
            self._unkept &= held
            self._store.keep_only(held)
        except sqlite3.Error as error:
            self.complain("store_failed", f"delivered batches are not forgotten: {error}")

    def _at_risk_tiles(self) -> int:
        """Tiles of a camera that would die with this process."""
        in_memory = sum(
            place.tiles
            for place in self._protocol.custody.places()
            if place.state is not State.STORED and (self._store is None or place.batch.sequence in self._unkept)
        )
        return self._source.counts().waiting_tiles + in_memory

    def _send(self, send: SendBatch[list[Tile]]) -> None:
        tiles, plan = send.payload, send.plan
        envelope = Envelope(
            batch=send.batch,
            sender=graph.SENSING,
            destination=plan.satellites[0],
            epoch=plan.epoch,
            plan_hash=plan.plan_hash,
            low_water=send.low_water,
            model_id=self._model_id,
            run_id=self._run_id,
            source_id=tiles[0].source_id,
            frames=tuple(tile.frame for tile in tiles),
            tile_indices=tuple(tile.tile_index for tile in tiles),
        )
        data = array("B")
        for tile in tiles:
            data.frombytes(tile.data)
        message = m.ImageBatch(
            header=Header(
                stamp=Time(nanoseconds=min(tile.acquired_ns for tile in tiles)).to_msg(), frame_id=envelope.source_id
            ),
            envelope=convert.envelope_to(envelope),
            encoding=m.ImageBatch.ENCODING_JPEG if self._jpeg else m.ImageBatch.ENCODING_RGB8,
            height=self._height,
            width=self._width,
            tile_bytes=[len(tile.data) for tile in tiles],
            crc32=seal(envelope, 0, data),
            data=data,
        )
        self._way.send(message, envelope.destination, envelope.batch)
        self.counters.add("sent")
        self.get_logger().debug(
            f"{send.batch} of {len(tiles)} tiles goes to {envelope.destination} under plan {plan.epoch}"
        )

    # What it says of itself

    def _mark_ledger(self) -> None:
        self._ledger_dirty = True

    def _publish_ledger(self, *, closed: bool = False) -> None:
        self._ledger_dirty = False
        if self._ledger is None or self._frames is None:
            return
        # Before it is said: what the next life takes up is in no count of this one's deliveries.
        self._forget_delivered()
        message = ledger_message(
            self._protocol,
            self._source,
            restored_tiles=self._restored_tiles,
            lost_tiles=self._lost_tiles,
            batch_tiles=self.value("batch_tiles"),
        )
        message.source, message.run_id = self._source.source_id, self._run_id
        message.unheard_frames = self._gaps.missing
        message.header.stamp = self.stamp()
        message.steady_s, message.clock = time.monotonic(), host_clock()
        self._ledger.publish(message)
        try:
            self._source.note_frames()
            self._frames.keep_books(
                books_of(
                    message,
                    DROP_CAUSES,
                    frames_total=self._source.frames_total,
                    closed=closed,
                    restored_tiles=self._restored_tiles,
                )
            )
        except sqlite3.Error as error:
            self.complain("journal_failed", f"the books are not kept: {error}")

    @property
    def _lost_tiles(self) -> int:
        return self._journal.lost_tiles if self._journal is not None else 0

    def _tell_obstacles(self) -> None:
        obstacles = self._protocol.obstacles
        if obstacles != self._told_obstacles:
            self._told_obstacles = obstacles
            self.get_logger().info(f"the stream waits: {_sentence(obstacles)}" if obstacles else "the stream goes on")

    def _tell_waits(self, now_s: float) -> None:
        protocol = self._protocol
        self._waits.look_at_plan(self._plan_view() if protocol.active is None else None, now_s)
        self._waits.look_at_stream(protocol.obstacles, now_s)
        camera = self._camera
        if camera is not None:
            self._waits.look_at_camera(camera.topics, camera.heard_images, now_s)

    def _plan_view(self) -> PlanView:
        protocol = self._protocol
        return PlanView(
            satellites=self._satellites,
            silent=protocol.unreported,
            has_planner=graph.PLANNER in self._hello.present(),
            has_proposal=protocol.proposal is not None,
            unready=protocol.unready,
        )

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        if self.state != "active":
            return super().diagnose()
        protocol = self._protocol
        tally, counts = protocol.custody.tally(), self._source.counts()
        values = {
            "acquired_tiles": counts.acquired_tiles + self._restored_tiles,
            "waiting_tiles": tally.waiting + counts.waiting_tiles,
            "in_flight_tiles": tally.in_flight,
            "stored_tiles": tally.stored,
            "delivered_tiles": tally.delivered,
            "dropped_tiles": tally.dropped + counts.dropped.total(),
            "lost_tiles": self._lost_tiles,
            "withdrawn_drains": protocol.withdrawn_drains,
            **protocol.custody.causes,
        }
        if protocol.active is None:
            missing = ", ".join(sorted(protocol.waiting_for))
            waiting = f"waiting for {missing} to be ready" if missing else "waiting for a plan"
            return DiagnosticStatus.WARN, waiting, values
        if protocol.obstacles:
            return DiagnosticStatus.WARN, f"waiting: {_sentence(protocol.obstacles)}", values
        if protocol.draining and protocol.proposal is not None:
            return DiagnosticStatus.OK, f"paused until nothing is in flight, for plan {protocol.proposal.epoch}", values
        return DiagnosticStatus.OK, "streaming", values


def _sentence(obstacles: dict[str, str]) -> str:
    return "; ".join(f"{name} {why if why != 'dead' else 'is dead'}" for name, why in obstacles.items())


def main() -> int:
    return run(lambda _: [SensingNode()])


if __name__ == "__main__":
    sys.exit(main())
