"""Word of reception: of every data message of another process its sender is told that it has arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from rclpy.serialization import deserialize_message

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.interfaces import Topic
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.qos import message_class


class Receipts:
    """Inboxes of one receiver; made when its node is activated.

    What is made of a message does not matter: one that is refused or comes twice has arrived all the same. Each of
    `senders` hears its own receipts only: those of all would cost every process more than its batches.
    """

    def __init__(self, node: FlightNode, receiver: str, senders: Iterable[str]) -> None:
        self._node, self._receiver = node, receiver
        self._receipts = {sender: node.publish_on(graph.LINK_RECEIPT, sender) for sender in senders}

    def listen_to(self, inbox: Topic, callback: Callable[[Any], None]) -> None:
        """Call back with every message of an inbox, and tell its sender."""
        take = partial(self._on_serialized, message_class(inbox.type), callback)
        # As bytes, whose number is what crossed the link.
        self._node.listen_to(inbox, take, self._receiver, raw=True)

    def _on_serialized(self, type_: type, callback: Callable[[Any], None], serialized: bytes) -> None:
        try:
            message: Any = deserialize_message(serialized, type_)
        # Bytes that are no message end in rmw's own error.
        except RuntimeError:
            self._node.counters.add("malformed")
            return
        # First what it is for: a batch does not wait until its receipt is out.
        callback(message)
        envelope = message.envelope
        receipts = self._receipts.get(envelope.sender)
        if receipts is not None and envelope.destination == self._receiver:
            receipts.publish(
                m.LinkReceipt(
                    sender=envelope.sender,
                    receiver=self._receiver,
                    batch=envelope.batch,
                    wire_bytes=len(serialized),
                )
            )
