"""Batches as they come in at a satellite: passed over, refused, or put before its workers."""

from __future__ import annotations

import time
from typing import Any

from satllm_ros import msg as m
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.steps.refusals import Refusals
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.hop import HopReceiver
from satllm_ros.protocol.satellite import Ignore, Refuse, Serve
from satllm_ros.protocol.unhandled import unhandled
from satllm_ros.protocol.vocabulary import Cause
from satllm_ros.satellite.pipeline import Job, Pipeline
from satllm_ros.satellite.satellite_state import SatelliteState


class Arrivals:
    """Takes images and activations; on the executor's thread, so what takes time is left to the pipeline.

    Parameters
    ----------
    batch_tiles
        Most tiles that a batch may have.
    """

    def __init__(
        self,
        node: FlightNode,
        satellite_state: SatelliteState,
        pipeline: Pipeline,
        refusals: Refusals,
        batch_tiles: int,
    ) -> None:
        self._node, self._satellite_state, self._pipeline, self._refusals = node, satellite_state, pipeline, refusals
        self._batch_tiles = batch_tiles
        self._hop = HopReceiver()

    def on_images(self, message: m.ImageBatch) -> None:
        """A batch from sensing."""
        self._receive(message, cut=0)

    def on_activation(self, message: m.CompressedActivation) -> None:
        """A batch from the satellite before."""
        self._receive(message, cut=message.cut)

    def _receive(self, message: Any, cut: int) -> None:
        node = self._node
        node.counters.add("received")
        try:
            envelope = convert.envelope_from(message.envelope)
        except convert.WireError as error:
            node.ignore("malformed", str(error))
            return
        if self._hop.is_duplicate(envelope.batch):
            # Its first copy is taken care of, or was refused since: then another attempt comes.
            node.counters.add("came_again")
            return
        decision = self._satellite_state.on_batch(envelope, cut)
        match decision:
            case Ignore():
                node.counters.add(decision.reason)
                node.get_logger().debug(f"{envelope.batch} of {envelope.sender} is passed over: {decision.reason}")
            case Refuse():
                self._refusals.refuse(envelope, decision.cause)
            case Serve():
                self._take(Job(envelope, cut, message.header, message, context=decision), decision)
            case _:
                unhandled(decision)

    def _take(self, job: Job, serve: Serve) -> None:
        node, envelope = self._node, job.envelope
        if envelope.tiles > self._batch_tiles:
            node.warn(f"{envelope.batch} has {envelope.tiles} tiles; allowed are {self._batch_tiles}")
            self._refusals.refuse(envelope, Cause.MALFORMED)
            return
        job.times.received_s = time.monotonic()
        if not self._pipeline.offer(job):
            self._refusals.refuse(envelope, Cause.FULL)
            return
        self._hop.take(envelope.batch)
        node.get_logger().debug(
            f"{envelope.batch} of {envelope.sender} is taken at cut {job.cut} under plan {envelope.epoch}:"
            f" blocks ({serve.stage.start}, {serve.stage.stop}] follow"
        )
