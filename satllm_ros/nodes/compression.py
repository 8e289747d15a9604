"""Compression node: takes batches from the inbox, feeds the stage, sends what comes out to the next hop."""

# long: to be split: what arrives, and what is sent

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets.paths import artefacts_path
from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import Artefacts, load_artefacts
from satllm_ros.compression.tables.floor import below_floor
from satllm_ros.compression.wire.errors import FrameError
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.data.tiles import TileError, decode_tiles
from satllm_ros.nodes.base import diagnostic_keys
from satllm_ros.nodes.base.flight_node import FlightNode, NotReadyError
from satllm_ros.nodes.base.host_clock import host_clock
from satllm_ros.nodes.base.parameters import (
    ARTEFACTS,
    BATCH_TILES,
    EMULATE_LINKS,
    LINK_CONTROLLERS,
    SATELLITES,
    Parameter,
)
from satllm_ros.nodes.downlink import DownlinkNode, NotActiveError
from satllm_ros.nodes.hop.outlet import Outlet
from satllm_ros.nodes.hop.receipts import Receipts
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire.external import ExternalStage, ExternalStageError
from satllm_ros.protocol.checksum import seal
from satllm_ros.protocol.hop import HopReceiver
from satllm_ros.protocol.identity import Envelope
from satllm_ros.protocol.satellite import Ignore, Refuse, Serve
from satllm_ros.protocol.signals import Ack
from satllm_ros.protocol.vocabulary import Cause, Verdict
from satllm_ros.satellite.external_blocks import ExternalBlocks
from satllm_ros.satellite.onboard import Onboard
from satllm_ros.satellite.pipeline import Job, Pipeline
from satllm_ros.satellite.submodels import NotLoadedError, SubModels

AS_PLANNED = "plan"


class CompressionNode(FlightNode):
    """Receives, decodes, hands to the stage, encodes, sends; one batch can be in each of these at a time."""

    KEYS = diagnostic_keys.COMPRESSION
    PARAMETERS = (
        ARTEFACTS,
        SATELLITES,
        EMULATE_LINKS,
        LINK_CONTROLLERS,
        BATCH_TILES,
        Parameter(
            "codec",
            AS_PLANNED,
            "Codec of this satellite's output: 'plan' obeys the plan, a setting such as int8, mask:0.2:8 or klt:16 "
            "pins it until set back to 'plan'",
            read_only=False,
        ),
        Parameter(
            "inbox_batches",
            16,
            "Batches that may wait to be decoded; more are refused and sent again",
            "batch",
            1,
            graph.MAX_CREDITS,
        ),
        Parameter(
            "external_timeout_s",
            30.0,
            "Patience with an external stage, per batch; it has failed after three in a row",
            "s",
            0.1,
            3600.0,
            read_only=False,
        ),
    )

    def __init__(self, onboard: Onboard, downlink: DownlinkNode, **kwargs: Any) -> None:
        super().__init__("compression", depth_below_root=1, **kwargs)
        self._onboard = onboard
        self._downlink = downlink
        self._pipeline: Pipeline | None = None
        self._artefacts: Artefacts | None = None
        self._activations: Outlet | None = None
        self._external: ExternalStage | None = None

    def configure(self) -> None:
        submodels = self._onboard.submodels
        if submodels is None:
            raise NotReadyError("the stage is not configured")
        self._spec = submodels.spec
        self._artefacts = load_artefacts(artefacts_path(self.value("artefacts")), model_id=self._spec.model_id)
        self._pin(self.value("codec"))

    def activate(self) -> None:
        submodels = self._onboard.submodels
        if submodels is None:
            raise NotReadyError("the stage is not configured")
        others = [name for name in self.value("satellites") if name != self.satellite]
        emulated = self.value("emulate_links")
        self._activations = Outlet(
            self,
            graph.ACTIVATION_INBOX,
            graph.ACTIVATION_OUTBOX,
            self.satellite,
            others,
            emulated=emulated,
            controllers=self.value("link_controllers"),
        )
        self._ack = self.publish_on(graph.BATCH_ACK)
        self._timing = self.publish_on(graph.TIMING, self.satellite)
        self._external = None
        if isinstance(submodels, ExternalBlocks):
            self._external = ExternalStage(self, self.satellite, self.value("external_timeout_s"))
        self._pipeline = Pipeline(
            {"decode": self._decode, "compute": self._compute, "encode": self._encode},
            self._failed,
            inbox_depth=self.value("inbox_batches"),
        )
        self._abandon = self._pipeline.abandon
        # This pipeline, whatever happens to the attribute meanwhile: status is made on other threads.
        self._onboard.waiting = partial(getattr, self._pipeline, "waiting")
        self._onboard.worker_age_s = partial(getattr, self._pipeline, "progress_age_s")
        self._hop = HopReceiver()
        receipts = Receipts(self, self.satellite, [graph.SENSING, *others])
        receipts.listen_to(graph.IMAGES_INBOX, self._on_images)
        receipts.listen_to(graph.ACTIVATION_INBOX, self._on_activation)

    def deactivate(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            # What is abandoned waits no more.
            self._onboard.worker_age_s = lambda: 0.0
            pipeline.stop()
        if self._activations is not None:
            self._activations.close()
            self._activations = None

    # Receiving (executor thread)

    def _on_images(self, message: m.ImageBatch) -> None:
        self._receive(message, cut=0)

    def _on_activation(self, message: m.CompressedActivation) -> None:
        self._receive(message, cut=message.cut)

    def _receive(self, message: Any, cut: int) -> None:
        self.counters.add("received")
        try:
            envelope = convert.envelope_from(message.envelope)
        except convert.WireError as error:
            self.ignore("malformed", str(error))
            return
        if self._hop.is_duplicate(envelope.batch):
            # Its first copy is taken care of, or was refused since: then another attempt comes.
            self.counters.add("came_again")
            return
        decision = self._onboard.on_batch(envelope, cut)
        if isinstance(decision, Ignore):
            self.counters.add(decision.reason)
            self.get_logger().debug(f"{envelope.batch} of {envelope.sender} is passed over: {decision.reason}")
            return
        if isinstance(decision, Refuse):
            self._refuse(envelope, decision.cause)
            return
        if envelope.tiles > self.value("batch_tiles"):
            self.warn(f"{envelope.batch} has {envelope.tiles} tiles; allowed are {self.value('batch_tiles')}")
            self._refuse(envelope, Cause.MALFORMED)
            return
        job = Job(envelope, cut, message.header, message, context=decision)
        job.times.received_s = time.monotonic()
        if self._pipeline is None or not self._pipeline.offer(job):
            self._refuse(envelope, Cause.FULL)
            return
        self._hop.take(envelope.batch)
        self.get_logger().debug(
            f"{envelope.batch} of {envelope.sender} is taken at cut {cut} under plan {envelope.epoch}:"
            f" blocks ({decision.stage.start}, {decision.stage.stop}] follow"
        )

    # Steps (worker threads)

    @property
    def _codecs(self) -> Artefacts:
        """The artefacts, there from configuring on."""
        assert self._artefacts is not None
        return self._artefacts

    @property
    def _blocks(self) -> SubModels | ExternalBlocks:
        submodels = self._onboard.submodels
        if submodels is None:
            raise NotLoadedError("the stage was cleaned up while the batch waited")
        return submodels

    def _decode(self, job: Job) -> None:
        start_s = time.monotonic()
        message = job.content
        if job.cut == 0:
            convert.check_image_batch(message, job.envelope)
            convert.check_seal(job.envelope, 0, message.data, message.crc32)
            images = decode_tiles(
                memoryview(message.data),
                message.tile_bytes,
                self._spec.image_height,
                self._spec.image_width,
                jpeg=message.encoding == m.ImageBatch.ENCODING_JPEG,
            )
            job.content = self._blocks.prepare_images(images)
        else:
            convert.check_seal(job.envelope, job.cut, message.payload, message.crc32)
            expected = (job.envelope.tiles, self._spec.tokens, self._spec.width)
            decoded = decode(memoryview(message.payload), self._codecs, max_elements=int(np.prod(expected)))
            if decoded.activation.shape != expected or decoded.cut != job.cut:
                raise convert.WireError(
                    Cause.MALFORMED,
                    f"activation {decoded.activation.shape} at cut {decoded.cut}, expected {expected} at cut {job.cut}",
                )
            if decoded.replaced:
                self.counters.add("not_finite", decoded.replaced)
            job.content = decoded.activation
        job.times.decode_s = time.monotonic() - start_s

    def _compute(self, job: Job) -> None:
        stage = job.context.stage
        job.times.compute_start_s = time.monotonic()
        if self._external is not None:
            tiles = job.envelope.tiles
            last = stage.stop == self._spec.blocks
            shape = (tiles, len(self._spec.classes)) if last else (tiles, self._spec.tokens, self._spec.width)
            blocks = self._blocks
            if not isinstance(blocks, ExternalBlocks):
                raise NotLoadedError("the stage is another one than when the batch came")
            job.content, job.times.compute_real_s = self._external.run(blocks, job, stage.stop, shape, self._abandon)
        else:
            submodels = self._blocks
            if not isinstance(submodels, SubModels):
                raise NotLoadedError("the stage is another one than when the batch came")
            job.content, job.times.compute_real_s = submodels.run(stage.start, stage.stop, job.content, self._abandon)
        job.times.compute_stop_s = time.monotonic()

    def _encode(self, job: Job) -> None:
        serve: Serve = job.context
        next_hop = serve.plan.next_hop(self.satellite)
        setting = self._onboard.setting_for(serve.plan, serve.stage)
        fp32_bytes = frame_bytes = wire_bytes = 0
        start_s = time.monotonic()
        if next_hop is None:
            published_from_s = start_s
            wire_bytes = self._downlink.take(job.envelope, job.acquired, job.content, serve.plan.downlink)
        else:
            frame = encode(job.content, setting, self._codecs, serve.stage.stop)
            published_from_s = time.monotonic()
            job.times.encode_s = published_from_s - start_s
            fp32_bytes, frame_bytes = job.content.nbytes, len(frame)
            assert self._activations is not None
            wire_bytes = self._activations.send(
                self._message(job, frame, setting, next_hop), next_hop, job.envelope.batch
            )
        job.times.sent_s = time.monotonic()
        job.times.publish_s = job.times.sent_s - published_from_s
        self.counters.add("sent")
        self._timing.publish(self._timing_message(job, setting, fp32_bytes, frame_bytes, wire_bytes))

    def _message(self, job: Job, frame: bytes, setting: CodecSetting, next_hop: str) -> m.CompressedActivation:
        cut = job.context.stage.stop
        message = m.CompressedActivation(
            header=job.acquired,
            envelope=convert.envelope_to(job.envelope),
            cut=cut,
            shape=[int(n) for n in job.content.shape],
            dtype=m.CompressedActivation.DTYPE_FLOAT32,
            setting=convert.setting_to(setting),
            artefact_id=self._codecs.artefact_id,
            crc32=seal(job.envelope, cut, frame),
            payload=convert.to_bytes(frame),
        )
        message.envelope.sender, message.envelope.destination = self.satellite, next_hop
        return message

    def _timing_message(
        self, job: Job, setting: CodecSetting, fp32_bytes: int, frame_bytes: int, wire_bytes: int
    ) -> m.BatchTiming:
        times, stage = job.times, job.context.stage
        message = m.BatchTiming(
            satellite=self.satellite,
            batch=convert.batch_to(job.envelope.batch),
            epoch=convert.epoch_to(job.envelope.epoch),
            start=stage.start,
            stop=stage.stop,
            tiles=job.envelope.tiles,
            clock=host_clock(),
            received_s=times.received_s,
            compute_start_s=times.compute_start_s,
            compute_stop_s=times.compute_stop_s,
            sent_s=times.sent_s,
            wait_s=times.wait_s,
            decode_s=times.decode_s,
            compute_s=times.compute_s,
            compute_real_s=times.compute_real_s,
            encode_s=times.encode_s,
            publish_s=times.publish_s,
            fp32_bytes=fp32_bytes,
            frame_bytes=frame_bytes,
            wire_bytes=wire_bytes,
            setting=convert.setting_to(setting),
        )
        message.header.stamp = self.stamp()
        return message

    def _failed(self, job: Job, error: Exception) -> None:
        if isinstance(error, convert.WireError):
            cause = error.cause
        elif isinstance(error, FrameError):
            self.counters.add(f"frame_{error.fault.value}")
            cause = Cause.MALFORMED
        elif isinstance(error, TileError):
            cause = Cause.MALFORMED
        elif isinstance(error, NotLoadedError | NotActiveError | ExternalStageError):
            # They say something of this satellite, nothing of the batch.
            cause = Cause.FULL
        else:
            cause = Cause.INTERNAL
        self.warn(f"{job.envelope.batch} of {job.envelope.sender} refused: {error!r}")
        self._refuse(job.envelope, cause)

    def _refuse(self, envelope: Envelope, cause: Cause) -> None:
        self.counters.add(f"refused_{cause.name.lower()}")
        ack = Ack(envelope.batch, self.satellite, Verdict.REFUSED, cause)
        self._ack.publish(convert.ack_to(ack, self.stamp()))

    # Operator's pin

    def parameter_complaint(self, candidate: dict[str, Any]) -> str | None:
        if candidate["codec"] == AS_PLANNED:
            return None
        setting = CodecSetting.parse(candidate["codec"])
        if self._artefacts is None:
            return None
        self._artefacts.check_can_code(setting)
        return below_floor(setting, self._onboard.accuracy_floor, self._artefacts) or None

    def parameters_changed(self, names: set[str]) -> None:
        if "codec" in names:
            self._pin(self.value("codec"))
        if "external_timeout_s" in names and self._external is not None:
            self._external.timeout_s = self.value("external_timeout_s")

    def _pin(self, codec: str) -> None:
        if codec == AS_PLANNED:
            self._onboard.pin(None, accuracy=1.0)
            return
        setting, measured = CodecSetting.parse(codec), None
        if self._artefacts is not None:
            self._artefacts.check_can_code(setting)
            measured = self._artefacts.measurements.get(str(setting))
        # What was never measured keeps no floor.
        self._onboard.pin(setting, accuracy=measured.accuracy if measured is not None else 0.0)
