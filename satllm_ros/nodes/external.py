"""A stage written by someone else: raw activations out on `activation/in`, results back on `activation/out`."""

from __future__ import annotations

import queue
import threading
import time

import numpy as np

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.nodes import conversions as convert
from satllm_ros.nodes.base import FlightNode
from satllm_ros.runtime.pipeline import Job

# How long an abandoned wait may go on.
LOOK_UP_PERIOD_S = 0.2


class ExternalStage:
    """Asks another node to run blocks (cut, stop] of a batch and waits for its answer, one batch at a time."""

    def __init__(self, node: FlightNode, satellite: str, timeout_s: float) -> None:
        self._counters = node.counters
        self.timeout_s = timeout_s
        self._replies: queue.Queue[m.Activation] = queue.Queue(graph.MAX_CREDITS)
        self._request = node.publish_on(graph.ACTIVATION_IN, satellite)
        node.listen_to(graph.ACTIVATION_OUT, self._on_reply, satellite)

    def run(self, job: Job, stop: int, shape: tuple[int, ...], abandon: threading.Event) -> tuple[np.ndarray, float]:
        """Output of blocks (job.cut, stop], float32 of the given shape, and the seconds it took.

        Raises
        ------
        TimeoutError
            If no answer to this batch comes in time.
        WireError
            If the answer has another shape or type.
        """
        start_s = time.monotonic()
        self._request.publish(self._message(job, stop))
        while (left_s := start_s + self.timeout_s - time.monotonic()) > 0:
            if abandon.is_set():
                break
            try:
                reply = self._replies.get(timeout=min(left_s, LOOK_UP_PERIOD_S))
            except queue.Empty:
                continue
            if convert.batch_from(reply.envelope.batch) == job.envelope.batch and reply.cut == stop:
                return convert.activation_array(reply, shape), time.monotonic() - start_s
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
