"""What one hop costs by DDS, as this package sets it up, and by HTTP, as the paper's testbed does it.

One process sends a message of some megabytes to another on the same computer and waits for a short answer. DDS: a
`CompressedActivation` through rclpy, with the shared-memory profile and the allocator settings that every node of the
package has. HTTP: the same bytes by POST to a FastAPI server, JSON back. Both take turns in one run, so that a
machine that slows down slows both; medians of wall time.

Needs `pip install fastapi uvicorn requests` beside the package.
"""

import argparse
import multiprocessing
import os
import random
import socket
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

SIZES_MB = (0.1, 0.3, 1.0, 4.0, 10.0)
ROUNDS = 30
PATIENCE_S = 30.0


def _node(name: str) -> tuple[Any, Any]:
    import rclpy

    from satllm_ros.nodes.base.process import set_up_environment
    from satllm_ros.satellite.memory import keep_pages

    keep_pages()
    set_up_environment()
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=99)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    node = rclpy.create_node(name, context=context)
    executor.add_node(node)
    return node, executor


def answer_by_dds() -> None:
    """The receiving process of the DDS rounds."""
    import numpy as np

    from satllm_ros import interfaces as graph
    from satllm_ros import msg as m
    from satllm_ros.nodes.base.qos import profile

    node, executor = _node("receiver")
    answer = node.create_publisher(m.BatchAck, "answer", profile(graph.Qos.EVENT))

    def on_message(message: m.CompressedActivation) -> None:
        received = np.frombuffer(message.payload, dtype=np.uint8)
        batch = m.BatchId(sequence=message.envelope.batch.sequence)
        answer.publish(m.BatchAck(batch=batch, cause=int(received[-1]) & 1))

    node.create_subscription(m.CompressedActivation, "hop", on_message, profile(graph.Qos.DATA))
    executor.spin()


def answer_by_http(port: int) -> None:
    """The receiving process of the HTTP rounds."""
    import uvicorn
    from fastapi import FastAPI, Request

    from satllm_ros.satellite.memory import keep_pages

    keep_pages()
    app = FastAPI()

    @app.post("/hop")
    async def hop(request: Request) -> dict[str, int]:
        body = await request.body()
        return {"cause": body[-1] & 1}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


class Dds:
    """Sends by DDS."""

    def __init__(self) -> None:
        from satllm_ros import interfaces as graph
        from satllm_ros import msg as m
        from satllm_ros.nodes.base.qos import profile
        from satllm_ros.nodes.wire.conversions import to_bytes

        self._message, self._to_bytes = m.CompressedActivation, to_bytes
        self._node, self._executor = _node("sender")
        self._hop = self._node.create_publisher(m.CompressedActivation, "hop", profile(graph.Qos.DATA))
        self._answers: list[int] = []
        self._node.create_subscription(
            m.BatchAck, "answer", lambda ack: self._answers.append(ack.batch.sequence), profile(graph.Qos.EVENT)
        )
        self._sequence = 0
        self._until(lambda: self._hop.get_subscription_count() and self._node.count_publishers("/answer"))

    def send(self, data: bytes) -> None:
        """One round."""
        self._sequence += 1
        message = self._message(payload=self._to_bytes(data))
        message.envelope.batch.sequence = self._sequence
        self._hop.publish(message)
        self._until(lambda: self._answers[-1:] == [self._sequence])

    def _until(self, condition: Callable[[], Any]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"no answer by DDS within {PATIENCE_S:g} s")
            self._executor.spin_once(timeout_sec=0.1)


class Http:
    """Sends by HTTP, over one connection that is kept open."""

    def __init__(self, port: int) -> None:
        import requests

        self._url = f"http://127.0.0.1:{port}/hop"
        self._session = requests.Session()
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.send(b"\0")
                return
            except requests.ConnectionError:
                if time.monotonic() > deadline_s:
                    raise

    def send(self, data: bytes) -> None:
        """One round."""
        answer = self._session.post(self._url, data=data, timeout=PATIENCE_S)
        answer.raise_for_status()
        answer.json()


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def seconds(run: Callable[[], None]) -> float:
    """Wall time of one run."""
    begin_s = time.perf_counter()
    run()
    return time.perf_counter() - begin_s


def main() -> int:
    """Print the table; 1 if HTTP was faster at any size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of each size (default: {ROUNDS})")
    rounds = parser.parse_args().rounds
    start = multiprocessing.get_context("spawn")
    port = free_port()
    receivers = [
        start.Process(target=answer_by_dds, daemon=True),
        start.Process(target=answer_by_http, args=(port,), daemon=True),
    ]
    for receiver in receivers:
        receiver.start()
    try:
        dds, http = Dds(), Http(port)
        print(f"{'MB':>6} {'DDS ms':>9} {'HTTP ms':>9} {'HTTP / DDS':>11}   medians of {rounds} rounds in turns")
        slower = False
        for size_mb in SIZES_MB:
            data = random.Random(0).randbytes(int(size_mb * 1e6))
            for way in (dds, http):
                way.send(data)
            pairs = [(seconds(lambda: dds.send(data)), seconds(lambda: http.send(data))) for _ in range(rounds)]  # noqa: B023
            by_dds, by_http = (1e3 * statistics.median(times) for times in zip(*pairs, strict=True))
            slower |= by_dds >= by_http
            print(f"{size_mb:6.1f} {by_dds:9.2f} {by_http:9.2f} {by_http / by_dds:11.2f}", flush=True)
        return int(slower)
    finally:
        for receiver in receivers:
            receiver.kill()
            receiver.join()


if __name__ == "__main__":
    sys.exit(main())
