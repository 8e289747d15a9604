"""Link node: emulates the network between the nodes of the graph; not part of a flight."""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from typing import Any

from rclpy.publisher import Publisher
from rclpy.serialization import deserialize_message

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.interfaces import Topic
from satllm_ros.nodes.base import FlightNode
from satllm_ros.nodes.parameters import SATELLITES, Parameter
from satllm_ros.nodes.process import run
from satllm_ros.nodes.qos import message_class
from satllm_ros.runtime.link_queue import LinkQueue, LinkRates, Transfer

STATE_PERIOD_S = 1.0


def _rate(kind: str, what: str) -> Parameter:
    return Parameter(f"{kind}_rate_bps", 5e8, f"Rate of {what}", "bit/s", 1.0, 1e15, read_only=False)


def _propagation(kind: str, what: str) -> Parameter:
    return Parameter(f"{kind}_propagation_s", 0.0, f"Propagation delay of {what}", "s", 0.0, 60.0, read_only=False)


KINDS = {
    "upload": "the link from sensing to the first satellite",
    "isl": "each inter-satellite link",
    "s2g": "the link to the ground",
}


class LinkNode(FlightNode):
    """Carries each outbox message to the inbox it names: first in first out, at a rate, after a propagation delay.

    A message occupies its link for its serialized length; it is passed on as the bytes it came in.
    """

    PARAMETERS = (
        SATELLITES,
        *(make(kind, what) for kind, what in KINDS.items() for make in (_rate, _propagation)),
        Parameter(
            "queue_batches", graph.MAX_CREDITS, "Messages a link may hold; more are dropped and counted", "batch", 1
        ),
    )

    def __init__(self) -> None:
        super().__init__("link")
        self._queues: dict[tuple[str, str], LinkQueue[tuple[bytes, Any, Publisher]]] = {}
        self._sent: dict[tuple[str, str], tuple[int, int]] = {}
        self._dropped: dict[tuple[str, str], int] = {}
        self._changed = threading.Condition()
        self._courier: threading.Thread | None = None
        self._stopping = False
        self.every(STATE_PERIOD_S, self._publish_states)

    def activate(self) -> None:
        satellites = self.value("satellites")
        self._transfers = self.publish_on(graph.LINK_TRANSFER)
        self._states = self.publish_on(graph.LINK_STATE)
        ground = {graph.GROUND: self.publish_on(graph.PREDICTIONS_INBOX, graph.GROUND)}
        images = {name: self.publish_on(graph.IMAGES_INBOX, name) for name in satellites}
        activations = {name: self.publish_on(graph.ACTIVATION_INBOX, name) for name in satellites}
        predictions = ground | {name: self.publish_on(graph.PREDICTIONS_INBOX, name) for name in satellites}
        self._carry(graph.IMAGES_OUTBOX, graph.SENSING, images)
        for name in satellites:
            self._carry(graph.ACTIVATION_OUTBOX, name, activations)
            self._carry(graph.PREDICTIONS_OUTBOX, name, predictions)
        # A thread that sleeps until the next arrival: a polling timer would cost a tenth of a core.
        self._stopping = False
        self._courier = threading.Thread(target=self._deliver, name="courier", daemon=True)
        self._courier.start()

    def deactivate(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._courier is not None:
            self._courier.join()
            self._courier = None
        self._queues.clear()

    def parameters_changed(self, names: set[str]) -> None:
        with self._changed:
            for (sender, receiver), link in self._queues.items():
                link.set_rates(self._rates(sender, receiver), time.monotonic())
            self._changed.notify()
        self._publish_states()

    def _carry(self, outbox: Topic, sender: str, receivers: dict[str, Publisher]) -> None:
        callback = partial(self._on_outbox, message_class(outbox.type), sender, receivers)
        self.listen_to(outbox, callback, sender, raw=True)

    def _on_outbox(self, type_: type, sender: str, receivers: dict[str, Publisher], serialized: bytes) -> None:
        # Raw, so that it is passed on as it came; bytes that are no message end in rmw's own error, a RuntimeError.
        try:
            envelope = deserialize_message(serialized, type_).envelope
        except RuntimeError:
            self.counters.add("malformed")
            return
        publisher = receivers.get(envelope.destination)
        if publisher is None:
            self.counters.add("unknown_destination")
            return
        pair = (sender, envelope.destination)
        with self._changed:
            link = self._queues.setdefault(pair, LinkQueue(self._rates(*pair), self.value("queue_batches")))
            taken = link.offer((serialized, envelope.batch, publisher), len(serialized), time.monotonic())
            self._changed.notify()
        if not taken:
            self.counters.add("queue_full")
            self._dropped[pair] = self._dropped.get(pair, 0) + 1

    def _deliver(self) -> None:
        """Courier thread: publishes each message when its last bit has arrived."""
        while True:
            with self._changed:
                if self._stopping:
                    return
                now_s = time.monotonic()
                arrived = [(pair, transfer) for pair, link in self._queues.items() for transfer in link.due(now_s)]
                if not arrived:
                    arrivals = [t for link in self._queues.values() if (t := link.next_arrival_s) is not None]
                    self._changed.wait(timeout=min(arrivals) - now_s if arrivals else None)
                    continue
            for pair, transfer in arrived:
                self._hand_over(pair, transfer)

    def _hand_over(self, pair: tuple[str, str], transfer: Transfer[Any]) -> None:
        serialized, batch, publisher = transfer.message
        publisher.publish(serialized)
        messages, total = self._sent.get(pair, (0, 0))
        self._sent[pair] = (messages + 1, total + transfer.wire_bytes)
        self.counters.add("carried")
        self._report(pair, batch, transfer)

    def _report(self, pair: tuple[str, str], batch: m.BatchId, transfer: Transfer[Any]) -> None:
        self._transfers.publish(
            m.LinkTransfer(
                sender=pair[0],
                receiver=pair[1],
                batch=batch,
                wire_bytes=transfer.wire_bytes,
                start_s=transfer.start_s,
                stop_s=transfer.stop_s,
            )
        )

    def _rates(self, sender: str, receiver: str) -> LinkRates:
        kind = "upload" if sender == graph.SENSING else "s2g" if receiver == graph.GROUND else "isl"
        return LinkRates(self.value(f"{kind}_rate_bps"), self.value(f"{kind}_propagation_s"))

    def _publish_states(self) -> None:
        if self.state != "active":
            return
        with self._changed:
            links = list(self._queues.items())
        for pair, link in links:
            messages, total = self._sent.get(pair, (0, 0))
            state = m.LinkState(
                sender=pair[0],
                receiver=pair[1],
                up=True,
                rate_bps=link.rates.rate_bps,
                propagation_s=link.rates.propagation_s,
                queued_messages=link.queued_messages,
                queued_bytes=link.queued_bytes,
                sent_messages=messages,
                sent_bytes=total,
                dropped_messages=self._dropped.get(pair, 0),
            )
            state.header.stamp = self.get_clock().now().to_msg()
            self._states.publish(state)


def main() -> int:
    return run(lambda _: [LinkNode()])


if __name__ == "__main__":
    sys.exit(main())
