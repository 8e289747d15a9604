"""A stage written by someone else: raw activations out on `activation/in`, results back on `activation/out`."""

from __future__ import annotations

import queue
import threading
import time

import numpy as np
from numpy.typing import NDArray

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.vocabulary import Cause
from satllm_ros.satellite.external_blocks import ExternalBlocks, StageAnswer, StageOrder
from satllm_ros.satellite.pipeline import Job
from satllm_ros.satellite.submodels import NotLoadedError

# More sub-models than any satellite is told to hold; a longer answer is an attack or a mistake.
MAX_BLOCKS = 1024

# How long an abandoned wait may go on.
LOOK_UP_PERIOD_S = 0.2


class ExternalStageError(RuntimeError):
    """A stage written by someone else has not done what it was asked for."""


class ExternalStage:
    """Asks another node to run blocks (cut, stop] of a batch and waits for its answer, one batch at a time."""

    def __init__(self, node: FlightNode, satellite: str, timeout_s: float) -> None:
        self._counters = node.counters
        self.timeout_s = timeout_s
        self._replies: queue.Queue[m.Activation] = queue.Queue(graph.MAX_CREDITS)
        self._request = node.publish_on(graph.ACTIVATION_IN, satellite)
        node.listen_to(graph.ACTIVATION_OUT, self._on_reply, satellite)

    def run(
        self, blocks: ExternalBlocks, job: Job, stop: int, shape: tuple[int, ...], abandon: threading.Event
    ) -> tuple[NDArray[np.float32], float]:
        """Output of blocks (job.cut, stop], float32 of the given shape, and the seconds it took.

        `blocks` learns how that went.

        Raises
        ------
        NotLoadedError
            If the stage cannot be used any more.
        ExternalStageError
            If no answer to this batch comes in time, or one of another shape or type, or with values that are not
            finite. It says nothing of the batch.
        """
        try:
            output, seconds = self._ask(blocks, job, stop, shape, abandon)
        except (TimeoutError, convert.WireError) as error:
            if not abandon.is_set():
                blocks.note_fault(str(error))
            raise ExternalStageError(str(error)) from None
        blocks.note_run(stop - job.cut, job.envelope.tiles, seconds)
        return output, seconds

    def _ask(
        self, blocks: ExternalBlocks, job: Job, stop: int, shape: tuple[int, ...], abandon: threading.Event
    ) -> tuple[NDArray[np.float32], float]:
        start_s = time.monotonic()
        self._request.publish(self._message(job, stop))
        while (left_s := start_s + self.timeout_s - time.monotonic()) > 0:
            if abandon.is_set():
                break
            if blocks.trouble:
                raise NotLoadedError(f"the external stage cannot be used: {blocks.trouble}")
            try:
                reply = self._replies.get(timeout=min(left_s, LOOK_UP_PERIOD_S))
            except queue.Empty:
                continue
            if convert.batch_from(reply.envelope.batch) == job.envelope.batch and reply.cut == stop:
                values = convert.activation_array(reply, shape)
                if not np.isfinite(values).all():
                    raise convert.WireError(Cause.MALFORMED, f"activation of {job.envelope.batch} is not finite")
                return values, time.monotonic() - start_s
            self._counters.add("late_activation")
        raise TimeoutError(f"no activation of {job.envelope.batch} at cut {stop} came back within {self.timeout_s:g} s")

    def _message(self, job: Job, stop: int) -> m.Activation:
        values = np.ascontiguousarray(job.content, dtype=np.float32)
        return m.Activation(
            header=job.acquired,
            envelope=convert.envelope_to(job.envelope),
            cut=job.cut,
            stop=stop,
            dtype=m.Activation.DTYPE_FLOAT32,
            shape=list(values.shape),
            data=convert.to_bytes(values),
        )

    def _on_reply(self, message: m.Activation) -> None:
        try:
            self._replies.put_nowait(message)
        except queue.Full:
            self._counters.add("activation_overflow")


def order_to(order: StageOrder) -> m.StageOrder:
    """Into a message."""
    held = [m.StageBlocks(start=start, stop=stop) for start, stop in order.blocks]
    return m.StageOrder(boot_id=order.boot_id, number=order.number, model_id=order.model_id, blocks=held)


def answer_from(message: m.StageAnswer) -> StageAnswer:
    """From a message; what is in it is judged by `ExternalBlocks`.

    Raises
    ------
    WireError
        If it names more sub-models than anybody asked for.
    """
    if len(message.blocks) > MAX_BLOCKS:
        raise convert.WireError(Cause.MALFORMED, f"{len(message.blocks)} sub-models; allowed are {MAX_BLOCKS}")
    states = {(s.blocks.start, s.blocks.stop): (int(s.state), s.reason) for s in message.blocks}
    return StageAnswer(message.boot_id, message.number, message.model_id, states)
