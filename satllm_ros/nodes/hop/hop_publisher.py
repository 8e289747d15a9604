"""Where a node's batches go: straight to the next inbox, or to its outbox for the link node to carry."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rclpy.publisher import Publisher
from rclpy.serialization import serialize_message

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.interfaces import Topic
from satllm_ros.links.link_controllers import parsed_controllers
from satllm_ros.links.link_pairs import MAX_PROPAGATION_S
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.hop.link_meter import LinkMeter
from satllm_ros.protocol.hop import HopSender, Resend
from satllm_ros.protocol.identity import BatchId
from satllm_ros.protocol.pacing import LEAST_RATE_BPS, MOST_RATE_BPS, Hand, Pacing

# A link's word beyond is nonsense; the pacer looks at least so often.
MAX_QUEUED_S = 600.0
LONGEST_SLEEP_S = 60.0
# After the middleware has refused to send.
PAUSE_S = 1.0


class HopPublisher:
    """Publishers of one kind of batch to every possible next hop.

    They exist from activation on, since discovering a new peer takes from half a second to three: a satellite
    that drops out is bypassed without waiting for one. To destinations whose link has a flow controller, batches are
    handed over as `Pacing` says, by the caller or a thread of its own; to others at once.

    The middleware repeats what a real link loses, packet by packet. An emulated one loses whole messages: what no
    receipt came for is sent again as `HopSender` says, from the link's first word of its rate on.

    Parameters
    ----------
    controllers
        destination=rate,delay of the links with a flow controller, as the parameter `link_controllers` has them.
    repeats
        Whether what an emulated link loses is sent again; else whoever sends sees to it.
    """

    def __init__(
        self,
        node: FlightNode,
        inbox: Topic,
        outbox: Topic,
        sender: str,
        receivers: Iterable[str],
        *,
        emulated: bool,
        controllers: Iterable[str] = (),
        repeats: bool = True,
    ) -> None:
        self._node, self._sender = node, sender
        if emulated:
            shared = node.publish_on(outbox, sender)
            self._publishers: dict[str, Publisher[Any]] = {receiver: shared for receiver in receivers}
        else:
            self._publishers = {receiver: node.publish_on(inbox, receiver) for receiver in receivers}
        links: Mapping[str, LinkRates] = {} if emulated else parsed_controllers(controllers)
        self._paced = {name for name in self._publishers if name in links}
        # Around the machines and what they let out, so that batches leave in their order.
        self._changed = threading.Condition()
        self._pacing: Pacing[bytes] = Pacing({name: links[name] for name in self._paced})
        self._hop: HopSender[bytes] | None = HopSender() if emulated and repeats else None
        self._rates: dict[str, LinkRates] = {}
        self._stopping = False
        self._meter: LinkMeter | None = None
        self._pacer: threading.Thread | None = None
        if self._paced or self._hop is not None:
            self._meter = LinkMeter(node, sender, self._publishers, self.on_received)
            node.listen_to(graph.LINK_STATE, self._on_link_state)
            node.beware_of(self._cautions)
            self._pacer = threading.Thread(target=self._pace, name=f"pacer of {inbox.of(sender)}", daemon=True)
            self._pacer.start()

    def close(self) -> None:
        """Stop handing over; what waits is not sent."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._pacer is not None:
            self._pacer.join()
            self._node.beware_no_more(self._cautions)

    def send(self, message: Any, destination: str, batch: BatchId) -> int:
        """Send to a destination; returns the length of the serialized message [byte]."""
        serialized = serialize_message(message)
        self.send_serialized(serialized, destination, batch)
        return len(serialized)

    def send_serialized(self, serialized: bytes, destination: str, batch: BatchId) -> None:
        """Send a message that is already in its serialized form.

        Where nobody listens it is lost, as ever: what comes back later is another life, for which custody sends anew.
        """
        if destination not in self._paced or not self.connected(destination):
            self._keep_copy(destination, batch, serialized)
            self._publish(destination, batch, serialized)
            return
        with self._changed:
            now_s = time.monotonic()
            self._hand_over(self._pacing.on_send(destination, batch, serialized, len(serialized), now_s))
            self._changed.notify()

    def on_received(self, destination: str, batch: BatchId, wire_bytes: int) -> None:
        """The destination has said that a batch arrived there: the next one may follow it."""
        with self._changed:
            if destination in self._paced:
                self._hand_over(self._pacing.on_received(destination, batch, time.monotonic()))
            elif self._hop is not None:
                self._hop.receipt(destination, batch, wire_bytes, time.monotonic())
            self._changed.notify()

    def settle(self, destination: str, batch: BatchId) -> None:
        """The destination has said what became of a batch: it need not be sent again here."""
        with self._changed:
            if destination in self._paced:
                self._hand_over(self._pacing.on_settled(destination, batch, time.monotonic()))
                self._changed.notify()

    def connected(self, destination: str) -> bool:
        """Whether somebody listens at the other end."""
        return self._publishers[destination].get_subscription_count() > 0

    def _on_link_state(self, message: m.LinkState) -> None:
        # What is measured follows what the controller lets out; the rate in force is a modem's word.
        receiver, rates = message.receiver, LinkRates(message.rate_bps, message.propagation_s)
        is_ours = message.sender == self._sender and receiver in self._publishers
        if not is_ours or message.source != m.LinkState.SOURCE_MODEM:
            return
        is_rate = LEAST_RATE_BPS <= rates.rate_bps <= MOST_RATE_BPS and 0.0 <= rates.propagation_s <= MAX_PROPAGATION_S
        if message.up and not is_rate:
            self._node.counters.add("malformed_link_state")
            return
        with self._changed:
            if self._hop is not None:
                self._on_state_of_hop(self._hop, message, rates)
            elif message.up:
                self._hand_over(self._pacing.on_rate(receiver, rates.rate_bps, time.monotonic()))
            self._changed.notify()

    def _on_state_of_hop(self, hop: HopSender[bytes], message: m.LinkState, rates: LinkRates) -> None:
        if not message.up:
            # It keeps what waits for it: copies would only crowd it when it is up again.
            self._rates.pop(message.receiver, None)
            hop.forget(message.receiver)
            return
        if self._rates.get(message.receiver) != rates:
            hop.forget(message.receiver)
            self._rates[message.receiver] = rates
        queued_s = min(MAX_QUEUED_S, 8.0 * message.queued_bytes / rates.rate_bps)
        hop.busy(message.receiver, time.monotonic() + queued_s)

    def _cautions(self) -> list[str]:
        with self._changed:
            return self._pacing.cautions()

    def _pace(self) -> None:
        """Pacer thread: hands over what is due, and sleeps until something is."""
        while not self._stopping:
            try:
                self._pace_once()
            # Whatever the middleware complains of: without this thread nothing more would be sent.
            except Exception as error:
                self._node.counters.add("pacer_failed")
                self._node.get_logger().error(f"cannot send: {error!r}", throttle_duration_sec=10.0)
                time.sleep(PAUSE_S)

    def _pace_once(self) -> None:
        with self._changed:
            for destination in self._paced:
                if not self.connected(destination):
                    self._pacing.on_gone(destination)
            self._hand_over(self._pacing.on_tick(time.monotonic()))
            resends = [] if self._hop is None else self._due(self._hop)
            if not (resends or self._stopping):
                self._changed.wait(min(LONGEST_SLEEP_S, max(0.0, self._next_s() - time.monotonic())))
        # Not with the lock held: over an emulated link publishing takes its time.
        for resend in resends:
            if self._meter is not None:
                self._meter.disturbed(resend.receiver)
            self._publishers[resend.receiver].publish(resend.message)
            self._node.get_logger().debug(f"{resend.batch} goes to {resend.receiver} again: no receipt came")

    def _next_s(self) -> float:
        due_s = None if self._hop is None else self._hop.next_due_s
        return min(self._pacing.next_s, math.inf if due_s is None else due_s)

    def _hand_over(self, hands: Iterable[Hand[bytes]]) -> None:
        # With the lock held: publishing is asynchronous on these topics, and short.
        if not self._stopping:
            for hand in hands:
                self._publish(hand.destination, hand.batch, hand.message)
        self._count(self._pacing.counts)

    def _keep_copy(self, destination: str, batch: BatchId, serialized: bytes) -> None:
        with self._changed:
            if self._hop is None or (rates := self._rates.get(destination)) is None:
                return
            self._hop.offer(
                destination,
                batch,
                serialized,
                len(serialized),
                time.monotonic(),
                rate_bps=rates.rate_bps,
                propagation_s=rates.propagation_s,
            )
            self._changed.notify()

    def _due(self, hop: HopSender[bytes]) -> list[Resend[bytes]]:
        resends = hop.tick(time.monotonic())
        self._count(Counter({f"hop_{cause}": count for cause, count in hop.causes.items()}))
        hop.causes.clear()
        return resends

    def _count(self, counts: Counter[str]) -> None:
        for cause, count in counts.items():
            self._node.counters.add(cause, count)
        counts.clear()

    def _publish(self, destination: str, batch: BatchId, serialized: bytes) -> None:
        if self._meter is not None:
            self._meter.handed(destination, batch, len(serialized))
        self._publishers[destination].publish(serialized)
