"""Whether another graph of this name is running: two of them would mix their tiles, and each report the other's."""

from __future__ import annotations

import os
import time

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.nodes.base import qos
from satllm_ros.nodes.base.flight_node import FlightNode, NotReadyError

# Peers on this computer are discovered well within this, and a graph that lives publishes its ledger twice.
DISCOVERY_S = 2.0


class RivalWatch:
    """Listens to the ledgers of other sensing nodes, from its making on."""

    def __init__(self, node: FlightNode, boot_id: int) -> None:
        self._node, self._boot_id = node, boot_id
        self._since_s = time.monotonic()
        self._heard = False
        self._subscription = qos.subscription(
            node, node.counters, graph.LEDGER, f"{node.root}/{graph.LEDGER.of()}", self._on_ledger
        )

    def check(self) -> None:
        """Refuse to fly beside another graph of this name.

        Raises
        ------
        NotReadyError
            If it has not listened for long enough to tell.
        ValueError
            If there is another one.
        """
        if time.monotonic() - self._since_s < DISCOVERY_S:
            raise NotReadyError("looking whether another graph of this name is running")
        if self._heard:
            domain = os.environ.get("ROS_DOMAIN_ID", "0")
            raise ValueError(
                f"another graph runs in namespace {self._node.root or '/'} of ROS domain {domain}: choose another"
                " namespace or ROS_DOMAIN_ID"
            )

    def close(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _on_ledger(self, message: m.Ledger) -> None:
        # Heard, not merely seen: DDS lists a publisher that was killed for another 20 s.
        self._heard = self._heard or message.boot_id != self._boot_id
