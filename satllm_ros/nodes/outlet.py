"""Where a node's batches go: straight to the next inbox, or to its outbox for the link node to carry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rclpy.publisher import Publisher
from rclpy.serialization import serialize_message

from satllm_ros.interfaces import Topic
from satllm_ros.nodes.base import FlightNode
from satllm_ros.nodes.link_meter import LinkMeter
from satllm_ros.runtime.identity import BatchId


class Outlet:
    """Publishers of one kind of batch to every possible next hop.

    They exist from activation on, since discovering a new peer takes from half a second to three: a satellite
    that drops out is bypassed without waiting for one.
    """

    def __init__(
        self, node: FlightNode, inbox: Topic, outbox: Topic, sender: str, receivers: Iterable[str], *, emulated: bool
    ) -> None:
        if emulated:
            shared = node.publish_on(outbox, sender)
            self._publishers: dict[str, Publisher] = {receiver: shared for receiver in receivers}
        else:
            self._publishers = {receiver: node.publish_on(inbox, receiver) for receiver in receivers}
        self._meter = LinkMeter(node, sender, self._publishers)

    def send(self, message: Any, destination: str, batch: BatchId) -> int:
        """Publish to a destination; returns the length of the serialized message [byte]."""
        serialized = serialize_message(message)
        self.send_serialized(serialized, destination, batch)
        return len(serialized)

    def send_serialized(self, serialized: bytes, destination: str, batch: BatchId) -> None:
        """Publish a message that is already in its serialized form."""
        self._meter.handed(destination, batch, len(serialized))
        self._publishers[destination].publish(serialized)

    def connected(self, destination: str) -> bool:
        """Whether somebody listens at the other end."""
        return self._publishers[destination].get_subscription_count() > 0
