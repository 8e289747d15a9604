"""Downlink node: writes predictions durably, answers for them, sends them to the ground while in contact."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from rclpy.publisher import Publisher
from rclpy.serialization import serialize_message

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.nodes.base import diagnostic_keys
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.hello import HelloThread
from satllm_ros.nodes.base.parameters import parameter
from satllm_ros.nodes.base.shared_parameters import FleetParameters, SendingParameters
from satllm_ros.nodes.hop.hop_publisher import HopPublisher
from satllm_ros.nodes.hop.receipts import Receipts
from satllm_ros.nodes.steps.refusals import NotActiveError
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire.arrivals import accepted
from satllm_ros.protocol import delivery as act
from satllm_ros.protocol.delivery import REMEMBERED_DELIVERIES, StoreAction, StoreProtocol
from satllm_ros.protocol.identity import BatchId, Envelope
from satllm_ros.protocol.membership.ground_contact import GroundContact
from satllm_ros.protocol.unhandled import unhandled
from satllm_ros.protocol.vocabulary import Cause, Verdict
from satllm_ros.storage.batch_store import ON_DISK, BatchStore
from satllm_ros.storage.run_identity import read_run

TICK_PERIOD_S = 1.0


@dataclass(frozen=True)
class _Store:
    """What there is from configuring to cleaning up."""

    machine: StoreProtocol[bytes]
    disk: BatchStore


@dataclass(frozen=True)
class _Ways:
    """What there is from activating to deactivating."""

    hop: HopPublisher
    ack: Publisher[Any]


@dataclass(frozen=True)
class DownlinkParameters(SendingParameters, FleetParameters):
    """What a satellite's downlink is told."""

    store_directory: str = parameter("", "Folder of the durable store of predictions; empty: the working directory")
    resend_s: float = parameter(
        15.0,
        "Send predictions again that the ground has not acknowledged for so long",
        "s",
        1.0,
        86400.0,
        read_only=False,
    )


class DownlinkNode(FlightNode):
    """Custodian between the last stage and the ground; idle on satellites that the plan does not name for it.

    In contact is a satellite while it and the ground hear each other's hellos and nobody says that the link is down,
    whoever listens to the ground's inbox. The store is opened at configuration and holds all that earlier lives of this
    satellite were acknowledged for.

    Attributes
    ----------
    hello
        Of the whole process; it is said from the start.
    """

    KEYS = diagnostic_keys.DOWNLINK
    PARAMETERS = DownlinkParameters
    parameters: DownlinkParameters

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("downlink", depth_below_root=1, **kwargs)
        self.hello = HelloThread(self, self.satellite, self.parameters.satellites)
        # Around the protocol, its store and its publisher: the encode worker comes in beside the executor.
        self._lock = threading.Lock()
        self._configured: _Store | None = None
        self._active: _Ways | None = None
        self._contact = GroundContact(time.monotonic())
        self.every(TICK_PERIOD_S, self._tick)

    def configure(self) -> None:
        folder = Path(self.parameters.store_directory)
        # A satellite on a computer of its own knows no run: its store takes whatever comes, and the ground judges.
        run = read_run(folder)
        path = folder / f"{self.satellite}.predictions.sqlite"
        disk = BatchStore(path, run_id=run.run_id if run is not None else None)
        satellites = len(self.parameters.satellites)
        machine = StoreProtocol(
            self.satellite,
            restored=disk.restore(),
            resend_s=self.parameters.resend_s,
            # All of them may send at once into one inbox of that depth.
            window_batches=max(1, graph.MAX_CREDITS // max(1, satellites)),
        )
        machine.on_contact(False, time.monotonic())
        if machine.undelivered:
            self.get_logger().info(f"{machine.undelivered} batches of an earlier life wait for the ground")
        if machine.set_aside:
            self.get_logger().info(f"{machine.set_aside} batches that the ground refused are kept in {path}")
        with self._lock:
            self._configured = _Store(machine, disk)

    def activate(self) -> None:
        others = [name for name in self.parameters.satellites if name != self.satellite]
        ack = self.publish_on(graph.BATCH_ACK)
        self._contact = GroundContact(time.monotonic())
        hop = HopPublisher(
            self,
            graph.PREDICTIONS_INBOX,
            graph.PREDICTIONS_OUTBOX,
            self.satellite,
            [*others, graph.GROUND],
            emulated=self.parameters.emulate_links,
            controllers=self.parameters.link_controllers,
            # The store itself sends again what is not acknowledged.
            repeats=False,
        )
        with self._lock:
            self._active = _Ways(hop, ack)
        Receipts(self, self.satellite, others).listen_to(graph.PREDICTIONS_INBOX, self._on_predictions)
        self.listen_to(graph.BATCH_ACK, self._on_ack)
        self.listen_to(graph.CUSTODY_QUERY, self._on_query)
        self.listen_to(graph.LINK_STATE, self._on_link_state)

    def deactivate(self) -> None:
        with self._lock:
            ways, self._active = self._active, None
            self._store.machine.on_contact(False, time.monotonic())
        if ways is not None:
            ways.hop.close()

    def cleanup(self) -> None:
        with self._lock:
            store, self._configured = self._configured, None
            if store is not None:
                store.disk.close()

    def parameters_changed(self, names: set[str]) -> None:
        with self._lock:
            if self._configured is not None:
                self._configured.machine.resend_s = self.parameters.resend_s

    def take(self, envelope: Envelope, header: Any, logits: NDArray[np.float32], custodian: str) -> int:
        """Take the last stage's logits, float32 (tiles, classes): store them here or send them to the custodian.

        Returns the length of the message for the custodian or the ground [byte]; 0 if it could not be stored, of
        which sensing is told. Called from the encode worker of this process.

        Raises
        ------
        NotActiveError
            If this node is not active.
        """
        message = convert.predictions_to(envelope, header, logits)
        with self._lock:
            if self._active is None:
                raise NotActiveError("the downlink node is not active")
            if custodian != self.satellite:
                message.envelope.sender, message.envelope.destination = self.satellite, custodian
                return self._active.hop.send(message, custodian, envelope.batch)
            return self._keep(message, envelope.batch)

    # What is heard

    def _on_predictions(self, message: m.Predictions) -> None:
        envelope = accepted(self, message, self.satellite)
        if envelope is not None:
            with self._lock:
                self._keep(message, envelope.batch)

    def _on_ack(self, message: m.BatchAck) -> None:
        # Only the ground can say that the ground has it, or will never have it.
        if message.sender != graph.GROUND:
            return
        try:
            ack = convert.ack_from(message)
        except convert.WireError:
            self.counters.add("malformed_ack")
            return
        with self._lock:
            if self._active is not None:
                self._active.hop.settle(graph.GROUND, ack.batch)
            if ack.verdict is Verdict.DELIVERED:
                self._carry_out(self._store.machine.on_delivered(ack.batch, time.monotonic()))
            elif ack.verdict is Verdict.REFUSED:
                self._carry_out(self._store.machine.on_refused(ack.batch, ack.cause, time.monotonic()))

    def _on_query(self, message: m.CustodyQuery) -> None:
        if message.store != self.satellite:
            return
        if len(message.batches) > REMEMBERED_DELIVERIES:
            self.counters.add("refused_malformed")
            return
        self.counters.add("queries")
        with self._lock:
            self._carry_out(self._store.machine.on_query(convert.query_from(message).batches))

    def _on_link_state(self, message: m.LinkState) -> None:
        is_ours = (message.sender, message.receiver) == (self.satellite, graph.GROUND)
        # What was measured of a link does not say that it is there.
        if is_ours and message.source == m.LinkState.SOURCE_MODEM:
            self._contact.on_link(message.up, time.monotonic())
            self._tell_contact()

    def _tick(self) -> None:
        if self.state != "active":
            return
        # The outbox has a reader whether or not the ground lives: that somebody listens is the least, and not enough.
        connected = self._ways.hop.connected(graph.GROUND)
        self._contact.look(self.hello.contact(graph.GROUND), connected, time.monotonic())
        self._tell_contact()
        with self._lock:
            self._carry_out(self._store.machine.on_tick(time.monotonic()))

    def _tell_contact(self) -> None:
        now_s = time.monotonic()
        is_open = self._contact.is_open(now_s)
        with self._lock:
            self._carry_out(self._store.machine.on_contact(is_open, now_s))

    @property
    def _store(self) -> _Store:
        assert self._configured is not None
        return self._configured

    @property
    def _ways(self) -> _Ways:
        assert self._active is not None
        return self._active

    # What follows; all with the lock held

    def _keep(self, message: m.Predictions, batch: BatchId) -> int:
        message.envelope.sender, message.envelope.destination = self.satellite, graph.GROUND
        payload = serialize_message(message)
        actions = self._store.machine.on_predictions(batch, payload, time.monotonic())
        return len(payload) if self._carry_out(actions) else 0

    def _carry_out(self, actions: Sequence[StoreAction[bytes]]) -> bool:
        """Do what the machine says, in order, and what it says of a write right after that; whether all was written."""
        all_written = True
        left = list(actions)
        while left:
            action = left.pop(0)
            match action:
                case act.Write():
                    is_written = self._write(action.batch, action.payload)
                    left[:0] = self._after_write(action.batch, is_written)
                    all_written &= is_written
                case act.MarkDelivered():
                    self._mark_delivered(action.batch)
                case act.SetAside():
                    self._set_aside(action.batch, action.cause)
                case act.SendToGround():
                    self._send(action.batch)
                case act.Acknowledge():
                    self._ways.ack.publish(convert.ack_to(action.ack, self.stamp()))
                case _:
                    unhandled(action)
        return all_written

    def _after_write(self, batch: BatchId, is_written: bool) -> Sequence[StoreAction[bytes]]:
        if is_written:
            return self._store.machine.on_written(batch, ON_DISK, time.monotonic())
        return self._store.machine.on_write_failed(batch)

    def _write(self, batch: BatchId, payload: bytes) -> bool:
        try:
            self._store.disk.write(batch, payload)
        except sqlite3.Error as error:
            self.complain("store_failed", f"{batch} cannot be written: {error}")
            return False
        self.counters.add("stored")
        self.get_logger().debug(f"predictions of {batch} are on disk")
        return True

    def _mark_delivered(self, batch: BatchId) -> None:
        self.counters.add("delivered")
        try:
            self._store.disk.mark_delivered(batch)
        except sqlite3.Error as error:
            self.complain("mark_failed", f"the delivery of {batch} cannot be noted: {error}")

    def _set_aside(self, batch: BatchId, cause: Cause) -> None:
        self.complain("refused_by_ground", f"the ground refused {batch} for good ({cause.name.lower()}): set aside")
        try:
            self._store.disk.set_aside(batch, cause)
        except sqlite3.Error as error:
            # The next life sends it once more, and is refused once more.
            self.complain("mark_failed", f"the refusal of {batch} cannot be noted: {error}")

    def _send(self, batch: BatchId) -> None:
        try:
            payload = self._store.disk.message(batch)
        except sqlite3.Error as error:
            # The disk may recover: it is tried again like a message that was lost.
            self.complain("read_failed", f"{batch} cannot be read: {error}")
            return
        if payload is None:
            self.complain("corrupted", f"{batch} is not whole on disk any more: sensing has to send it again")
            self._store.machine.on_corrupted(batch)
            return
        self.counters.add("sent")
        self.get_logger().debug(f"predictions of {batch} go to the ground")
        self._ways.hop.send_serialized(payload, graph.GROUND, batch)

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        level, message, values = super().diagnose()
        with self._lock:
            if self._configured is None:
                return level, message, values
            machine = self._configured.machine
            known = {
                "undelivered": machine.undelivered,
                "set_aside": machine.set_aside,
                "in_contact": machine.in_contact,
            }
            values = {**values, **known, **machine.causes}
        ground, now_s = self.hello.contact(graph.GROUND), time.monotonic()
        if ground.heard_age_s is not None:
            values["ground_heard_s_ago"] = f"{ground.heard_age_s:.1f}"
        trouble = self._contact.trouble(known["undelivered"], ground, now_s) if self.state == "active" else None
        if trouble is None:
            return level, message, values
        if not trouble.is_known:
            level = DiagnosticStatus.ERROR if trouble.is_error else DiagnosticStatus.WARN
        return level, trouble.sentence, values
