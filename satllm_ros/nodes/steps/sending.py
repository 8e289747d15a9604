"""The last step of a batch on board, on a thread of its own: it is encoded and sent on, and its times are told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rclpy.publisher import Publisher

from satllm_ros import msg as m
from satllm_ros.compression.codec import encode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.host_clock import host_clock
from satllm_ros.nodes.hop.hop_publisher import HopPublisher
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.checksum import seal
from satllm_ros.protocol.identity import Envelope
from satllm_ros.protocol.satellite import Serve
from satllm_ros.satellite.pipeline import Job
from satllm_ros.satellite.satellite_state import SatelliteState

# Takes the last stage's logits for a custodian, with the acquisition's header; returns the message's length [byte].
TakePredictions: TypeAlias = Callable[[Envelope, Any, NDArray[np.float32], str], int]


class Sending:
    """Hands what a satellite has computed to the next one, or to whoever takes predictions.

    Parameters
    ----------
    hop
        To the other satellites.
    timing
        Publisher of every batch's times.
    """

    def __init__(
        self,
        node: FlightNode,
        satellite_state: SatelliteState,
        artefacts: Artefacts,
        hop: HopPublisher,
        take_predictions: TakePredictions,
        timing: Publisher[Any],
    ) -> None:
        self._node, self._satellite_state, self._artefacts = node, satellite_state, artefacts
        self._hop, self._take_predictions, self._timing = hop, take_predictions, timing

    def encode(self, job: Job) -> None:
        """Encode a job's activation and send it."""
        serve: Serve = job.context
        next_hop = serve.plan.next_hop(self._node.satellite)
        setting = self._satellite_state.setting_for(serve.plan, serve.stage)
        fp32_bytes = frame_bytes = wire_bytes = 0
        start_s = time.monotonic()
        if next_hop is None:
            published_from_s = start_s
            wire_bytes = self._take_predictions(job.envelope, job.acquired, job.content, serve.plan.downlink)
        else:
            frame = encode(job.content, setting, self._artefacts, serve.stage.stop)
            published_from_s = time.monotonic()
            job.times.encode_s = published_from_s - start_s
            fp32_bytes, frame_bytes = job.content.nbytes, len(frame)
            wire_bytes = self._hop.send(self._message(job, frame, setting, next_hop), next_hop, job.envelope.batch)
        job.times.sent_s = time.monotonic()
        job.times.publish_s = job.times.sent_s - published_from_s
        self._node.counters.add("sent")
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
            artefact_id=self._artefacts.artefact_id,
            crc32=seal(job.envelope, cut, frame),
            payload=convert.to_bytes(frame),
        )
        message.envelope.sender, message.envelope.destination = self._node.satellite, next_hop
        return message

    def _timing_message(
        self, job: Job, setting: CodecSetting, fp32_bytes: int, frame_bytes: int, wire_bytes: int
    ) -> m.BatchTiming:
        times, stage = job.times, job.context.stage
        message = m.BatchTiming(
            satellite=self._node.satellite,
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
        message.header.stamp = self._node.stamp()
        return message
