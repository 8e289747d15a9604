"""Measures what the links of one sender carry, and says so on `link_state`, as measured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.links.goodput import Goodput, GoodputMeter
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.identity import BatchId

# How often a rate is looked at; it is told when it has changed by this share, and at the latest after so long.
LOOK_PERIOD_S, TELL_AGAIN_S = 1.0, 10.0
CHANGE = 0.05


class LinkMeter:
    """One meter a destination; made when its node is activated. `handed` may be called from any thread.

    `on_received` is called with receiver, batch and bytes whenever a receipt comes, measured by or not.
    """

    def __init__(
        self, node: FlightNode, sender: str, receivers: Iterable[str], on_received: Callable[[str, BatchId, int], None]
    ) -> None:
        self._node, self._sender, self._on_received = node, sender, on_received
        self._lock = threading.Lock()
        self._meters = {receiver: GoodputMeter() for receiver in receivers}
        self._looked_s = dict.fromkeys(self._meters, float("-inf"))
        self._told_s = dict.fromkeys(self._meters, float("-inf"))
        self._told_bps = dict.fromkeys(self._meters, 0.0)
        self._states = node.publish_on(graph.LINK_STATE)
        node.listen_to(graph.LINK_RECEIPT, self._on_receipt, sender)

    def handed(self, destination: str, batch: BatchId, wire_bytes: int) -> None:
        """A message goes to the middleware now."""
        with self._lock:
            self._meters[destination].on_handed(batch, wire_bytes, time.monotonic())

    def disturbed(self, destination: str) -> None:
        """A copy of a message takes the link's time as well."""
        with self._lock:
            self._meters[destination].on_disturbed()

    def _on_receipt(self, message: m.LinkReceipt) -> None:
        now_s = time.monotonic()
        meter = self._meters.get(message.receiver)
        if message.sender != self._sender or meter is None:
            return
        batch = convert.batch_from(message.batch)
        self._on_received(message.receiver, batch, message.wire_bytes)
        with self._lock:
            # Of what another node of this process sent, or nobody, it knows nothing.
            if not meter.on_receipt(batch, now_s):
                return
            # Not at every receipt: a fit takes milliseconds, whether or not it comes to anything.
            if now_s - self._looked_s[message.receiver] < LOOK_PERIOD_S:
                return
            self._looked_s[message.receiver] = now_s
            silence_s, told_bps = now_s - self._told_s[message.receiver], self._told_bps[message.receiver]
            if (measured := meter.estimate) is None:
                return
            if silence_s < TELL_AGAIN_S and abs(measured.rate_bps - told_bps) <= CHANGE * told_bps:
                return
            self._told_s[message.receiver], self._told_bps[message.receiver] = now_s, measured.rate_bps
        self._tell(message.receiver, measured)

    def _tell(self, receiver: str, measured: Goodput) -> None:
        state = m.LinkState(
            sender=self._sender,
            receiver=receiver,
            source=m.LinkState.SOURCE_MEASURED,
            up=True,
            rate_bps=measured.rate_bps,
            propagation_s=measured.round_trip_s / 2,
        )
        state.header.stamp = self._node.stamp()
        self._states.publish(state)
