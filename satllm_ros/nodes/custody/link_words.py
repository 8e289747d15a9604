"""What `link_state` says of the links of a chain."""

from __future__ import annotations

import time
from collections.abc import Iterable

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.protocol.membership.outages import Outages


def hear_of_outages(node: FlightNode, outages: Outages, satellites: Iterable[str]) -> None:
    """Listen until the node is deactivated; what was measured of a link does not say that it is there."""
    known = {graph.SENSING, *satellites}

    def on_link_state(message: m.LinkState) -> None:
        if message.source == m.LinkState.SOURCE_MODEM and known.issuperset((message.sender, message.receiver)):
            outages.on_link(message.sender, message.receiver, message.up, time.monotonic())

    node.listen_to(graph.LINK_STATE, on_link_state)
