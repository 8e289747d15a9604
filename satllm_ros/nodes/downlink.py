"""Downlink node: writes predictions durably, answers for them, sends them to the ground while in contact."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.nodes import conversions as convert
from satllm_ros.nodes.base import FlightNode
from satllm_ros.nodes.outlet import Outlet
from satllm_ros.nodes.parameters import EMULATE_LINKS, SATELLITES, Parameter
from satllm_ros.runtime.custody import Cause, Verdict
from satllm_ros.runtime.identity import Envelope
from satllm_ros.runtime.store import PredictionStore, StoredTile

RESEND_PERIOD_S = 1.0


class DownlinkNode(FlightNode):
    """Custodian between the last stage and the ground; idle on satellites that the plan does not name for it."""

    PARAMETERS = (
        SATELLITES,
        EMULATE_LINKS,
        Parameter("store_directory", "", "Folder of the durable store of predictions; empty: the working directory"),
        Parameter(
            "resend_s",
            15.0,
            "Send predictions again that the ground has not acknowledged for so long",
            "s",
            1.0,
            86400.0,
            read_only=False,
        ),
    )

    def __init__(self) -> None:
        super().__init__("downlink", depth_below_root=1)
        self._satellite = self.get_namespace().split("/")[-1]
        self._store: PredictionStore | None = None
        self._lock = threading.Lock()
        # Stored here and not yet acknowledged by the ground: message and when it was last sent (steady clock).
        self._undelivered: dict[tuple[int, int], tuple[m.Predictions, float]] = {}
        self.every(RESEND_PERIOD_S, self._resend)

    def configure(self) -> None:
        folder = Path(self.value("store_directory") or ".")
        self._store = PredictionStore(folder / f"{self._satellite}.predictions.sqlite")

    def activate(self) -> None:
        emulated = self.value("emulate_links")
        others = [name for name in self.value("satellites") if name != self._satellite]
        self._outlet = Outlet(
            self,
            graph.PREDICTIONS_INBOX,
            graph.PREDICTIONS_OUTBOX,
            self._satellite,
            [*others, graph.GROUND],
            emulated=emulated,
        )
        self._ack = self.publish_on(graph.BATCH_ACK)
        self.listen_to(graph.PREDICTIONS_INBOX, self._on_predictions, self._satellite)
        self.listen_to(graph.BATCH_ACK, self._on_ack)

    def cleanup(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def take(self, envelope: Envelope, header: Any, logits: np.ndarray, custodian: str) -> int:
        """Take the last stage's logits, float32 (tiles, classes): store them here or send them to the custodian.

        Returns the length of the message that was sent to the custodian or the ground [byte]. Called from the
        encode worker of this process.
        """
        if self.state != "active":
            raise RuntimeError("the downlink node is not active")
        message = convert.predictions_to(envelope, header, logits)
        message.envelope.sender, message.envelope.destination = self._satellite, custodian
        if custodian != self._satellite:
            return self._outlet.send(message, custodian)
        return self._keep(message, envelope)

    def _on_predictions(self, message: m.Predictions) -> None:
        self.counters.add("received")
        try:
            envelope = convert.envelope_from(message.envelope)
            convert.predictions_logits(message, envelope)
        except convert.WireError as error:
            self.counters.add(f"refused_{error.cause.name.lower()}")
            self.get_logger().warning(f"predictions refused: {error}", throttle_duration_sec=1.0)
            return
        if envelope.destination != self._satellite:
            self.counters.add("misrouted")
            return
        try:
            self._keep(message, envelope)
        except sqlite3.Error as error:
            self.counters.add("store_failed")
            self.get_logger().error(f"{envelope.batch} cannot be written: {error}", throttle_duration_sec=1.0)

    def _keep(self, message: m.Predictions, envelope: Envelope) -> int:
        acquired_s, now_s = convert.seconds(message.header.stamp), self.now_s()
        new = self._store.write(
            StoredTile(key, label, acquired_s, now_s)
            for key, label in zip(envelope.keys(), message.labels, strict=True)
        )
        self.counters.add("stored_tiles", new)
        self.counters.add("duplicate_tiles", envelope.tiles - new)
        self._ack.publish(self._ack_message(message.envelope.batch, Verdict.STORED))
        message.envelope.sender, message.envelope.destination = self._satellite, graph.GROUND
        with self._lock:
            self._undelivered[(envelope.batch.boot_id, envelope.batch.sequence)] = (message, time.monotonic())
        self.counters.add("sent")
        return self._outlet.send(message, graph.GROUND)

    def _on_ack(self, message: m.BatchAck) -> None:
        if message.verdict == Verdict.DELIVERED:
            with self._lock:
                if self._undelivered.pop((message.batch.boot_id, message.batch.sequence), None) is not None:
                    self.counters.add("delivered")

    def _resend(self) -> None:
        if self.state != "active":
            return
        now_s, patience_s = time.monotonic(), self.value("resend_s")
        with self._lock:
            due = [key for key, (_, sent_s) in self._undelivered.items() if now_s - sent_s > patience_s]
            messages = [self._undelivered[key][0] for key in due]
            for key, message in zip(due, messages, strict=True):
                self._undelivered[key] = (message, now_s)
        for message in messages:
            self.counters.add("resent")
            self._outlet.send(message, graph.GROUND)

    def _ack_message(self, batch: m.BatchId, verdict: Verdict) -> m.BatchAck:
        message = m.BatchAck(batch=batch, sender=self._satellite, verdict=int(verdict), cause=int(Cause.NONE))
        message.header.stamp = self.get_clock().now().to_msg()
        return message

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        level, message, values = super().diagnose()
        with self._lock:
            return level, message, {**values, "undelivered": len(self._undelivered)}
