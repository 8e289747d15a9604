"""Compression node: takes batches from the inbox, feeds the stage, sends what comes out to the next hop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from satllm_ros import interfaces as graph
from satllm_ros.assets.paths import artefacts_path
from satllm_ros.compression.tables.artefacts import Artefacts, load_artefacts
from satllm_ros.compression.tables.floor import below_floor
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.model.spec import ModelSpec
from satllm_ros.nodes.base import diagnostic_keys
from satllm_ros.nodes.base.flight_node import FlightNode, NotReadyError
from satllm_ros.nodes.base.parameters import parameter
from satllm_ros.nodes.base.shared_parameters import BatchParameters, CodecParameters, FleetParameters, SendingParameters
from satllm_ros.nodes.downlink import DownlinkNode
from satllm_ros.nodes.hop.hop_publisher import HopPublisher
from satllm_ros.nodes.hop.receipts import Receipts
from satllm_ros.nodes.steps.arrivals import Arrivals
from satllm_ros.nodes.steps.inference import Inference
from satllm_ros.nodes.steps.refusals import Refusals
from satllm_ros.nodes.steps.sending import Sending
from satllm_ros.nodes.wire.external import ExternalStage
from satllm_ros.satellite.external_blocks import ExternalBlocks
from satllm_ros.satellite.pipeline import Pipeline
from satllm_ros.satellite.satellite_state import SatelliteState

AS_PLANNED = "plan"


@dataclass(frozen=True)
class _Codecs:
    """What there is from configuring on."""

    spec: ModelSpec
    artefacts: Artefacts


@dataclass(frozen=True)
class _Work:
    """What there is from activating to deactivating; `external`: a stage written by someone else, if one is used."""

    pipeline: Pipeline
    hop: HopPublisher
    external: ExternalStage | None


@dataclass(frozen=True)
class CompressionParameters(BatchParameters, SendingParameters, FleetParameters, CodecParameters):
    """What a satellite's compression is told."""

    codec: str = parameter(
        AS_PLANNED,
        "Codec of this satellite's output: 'plan' obeys the plan, a setting such as int8, mask:0.2:8 or klt:16 "
        "pins it until set back to 'plan'",
        read_only=False,
    )
    inbox_batches: int = parameter(
        16, "Batches that may wait to be decoded; more are refused and sent again", "batch", 1, graph.MAX_CREDITS
    )
    external_timeout_s: float = parameter(
        30.0,
        "Patience with an external stage, per batch; it has failed after three in a row",
        "s",
        0.1,
        3600.0,
        read_only=False,
    )

    def complaint(self) -> str | None:
        """A codec that is none."""
        if self.codec != AS_PLANNED:
            CodecSetting.parse(self.codec)
        return None


class CompressionNode(FlightNode):
    """Receives, decodes, hands to the stage, encodes, sends; one batch can be in each of these at a time."""

    KEYS = diagnostic_keys.COMPRESSION
    PARAMETERS = CompressionParameters
    parameters: CompressionParameters

    def __init__(self, satellite_state: SatelliteState, downlink: DownlinkNode, **kwargs: Any) -> None:
        super().__init__("compression", depth_below_root=1, **kwargs)
        self._satellite_state = satellite_state
        self._downlink = downlink
        self._configured: _Codecs | None = None
        self._active: _Work | None = None

    def configure(self) -> None:
        submodels = self._satellite_state.submodels
        if submodels is None:
            raise NotReadyError("the stage is not configured")
        spec = submodels.spec
        self._configured = _Codecs(
            spec, load_artefacts(artefacts_path(self.parameters.artefacts), model_id=spec.model_id)
        )
        self._pin(self.parameters.codec)

    def activate(self) -> None:
        submodels, codecs = self._satellite_state.submodels, self._configured
        if submodels is None or codecs is None:
            raise NotReadyError("the stage is not configured")
        others = [name for name in self.parameters.satellites if name != self.satellite]
        refusals = Refusals(self, self.publish_on(graph.BATCH_ACK))
        timing = self.publish_on(graph.TIMING, self.satellite)
        external = None
        if isinstance(submodels, ExternalBlocks):
            external = ExternalStage(self, self.satellite, self.parameters.external_timeout_s)
        hop = HopPublisher(
            self,
            graph.ACTIVATION_INBOX,
            graph.ACTIVATION_OUTBOX,
            self.satellite,
            others,
            emulated=self.parameters.emulate_links,
            controllers=self.parameters.link_controllers,
        )
        inference = Inference(self.counters, self._satellite_state, codecs.spec, codecs.artefacts, external)
        sending = Sending(self, self._satellite_state, codecs.artefacts, hop, self._downlink.take, timing)
        pipeline = Pipeline(
            {
                "decode": inference.decode,
                "compute": lambda job: inference.compute(job, pipeline.abandon),
                "encode": sending.encode,
            },
            refusals.on_failure,
            inbox_depth=self.parameters.inbox_batches,
        )
        self._active = _Work(pipeline, hop, external)
        # Of this pipeline, whatever is made meanwhile: status is made on other threads.
        self._satellite_state.waiting = lambda: pipeline.waiting
        self._satellite_state.worker_age_s = lambda: pipeline.progress_age_s
        arrivals = Arrivals(self, self._satellite_state, pipeline, refusals, self.parameters.batch_tiles)
        receipts = Receipts(self, self.satellite, [graph.SENSING, *others])
        receipts.listen_to(graph.IMAGES_INBOX, arrivals.on_images)
        receipts.listen_to(graph.ACTIVATION_INBOX, arrivals.on_activation)

    def deactivate(self) -> None:
        work, self._active = self._active, None
        if work is not None:
            # What is abandoned waits no more.
            self._satellite_state.worker_age_s = lambda: 0.0
            work.pipeline.stop()
            work.hop.close()

    def cleanup(self) -> None:
        self._configured = None

    @property
    def _artefacts(self) -> Artefacts | None:
        return self._configured.artefacts if self._configured is not None else None

    # Operator's pin

    def parameter_complaint(self, candidate: CompressionParameters, names: set[str]) -> str | None:
        if "codec" not in names or candidate.codec == AS_PLANNED or self._artefacts is None:
            return None
        setting = CodecSetting.parse(candidate.codec)
        self._artefacts.check_can_code(setting)
        return below_floor(setting, self._satellite_state.accuracy_floor, self._artefacts) or None

    def parameters_changed(self, names: set[str]) -> None:
        if "codec" in names:
            self._pin(self.parameters.codec)
        external = self._active.external if self._active is not None else None
        if "external_timeout_s" in names and external is not None:
            external.timeout_s = self.parameters.external_timeout_s

    def _pin(self, codec: str) -> None:
        if codec == AS_PLANNED:
            self._satellite_state.pin(None, accuracy=1.0)
            return
        setting, measured = CodecSetting.parse(codec), None
        if self._artefacts is not None:
            self._artefacts.check_can_code(setting)
            measured = self._artefacts.measurements.get(str(setting))
        # What was never measured keeps no floor.
        self._satellite_state.pin(setting, accuracy=measured.accuracy if measured is not None else 0.0)
