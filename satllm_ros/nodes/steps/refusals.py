"""Batches that a satellite does not take, or cannot finish: counted by cause, and sensing is told."""

from __future__ import annotations

from typing import Any

from rclpy.publisher import Publisher

from satllm_ros.compression.wire.errors import FrameError
from satllm_ros.data.tiles import TileError
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire.external import ExternalStageError
from satllm_ros.protocol.identity import Envelope
from satllm_ros.protocol.signals import Ack
from satllm_ros.protocol.vocabulary import Cause, Verdict
from satllm_ros.satellite.pipeline import Job
from satllm_ros.satellite.submodels import NotLoadedError


class NotActiveError(RuntimeError):
    """A batch needed a node of its satellite that is not active."""


class Refusals:
    """Refuses batches, from any thread; `ack` is the publisher of acknowledgements."""

    def __init__(self, node: FlightNode, ack: Publisher[Any]) -> None:
        self._node, self._ack = node, ack

    def refuse(self, envelope: Envelope, cause: Cause) -> None:
        """Say that a batch is not taken, and why."""
        self._node.counters.add(f"refused_{cause.name.lower()}")
        ack = Ack(envelope.batch, self._node.satellite, Verdict.REFUSED, cause)
        self._ack.publish(convert.ack_to(ack, self._node.stamp()))

    def on_failure(self, job: Job, error: Exception) -> None:
        """A step could not be done."""
        if isinstance(error, FrameError):
            self._node.counters.add(f"frame_{error.fault.value}")
        self._node.warn(f"{job.envelope.batch} of {job.envelope.sender} refused: {error!r}")
        self.refuse(job.envelope, _cause_of(error))


def _cause_of(error: Exception) -> Cause:
    if isinstance(error, convert.WireError):
        return error.cause
    if isinstance(error, FrameError | TileError):
        return Cause.MALFORMED
    if isinstance(error, NotLoadedError | NotActiveError | ExternalStageError):
        # They say something of this satellite, nothing of the batch.
        return Cause.FULL
    return Cause.INTERNAL
