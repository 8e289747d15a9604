"""The ends of the hops of one process, as the simulation runs them."""

from __future__ import annotations

from typing import Any

from satllm_ros.protocol.hop import HopLimits, HopReceiver, HopSender
from satllm_ros.protocol.identity import BatchId
from satllm_ros.simulation.processes.messages import Batch, Predictions, Receipt
from satllm_ros.simulation.processes.process import Host

# A message's bytes, so that a receipt can be of another one.
HEAD_BYTES, TILE_BYTES = 200, 1000


class Hops:
    """Sends over hops and answers what comes over them; without `limits`, nobody says what arrived."""

    def __init__(
        self, name: str, boot_id: int, limits: HopLimits | None, machine: type[HopSender[Any]] = HopSender
    ) -> None:
        self._name = name
        self._boot_id = boot_id
        self._limits = limits
        self.sender: HopSender[Batch | Predictions] | None = None if limits is None else machine(limits)
        self._receiver = HopReceiver()

    def send(self, host: Host, receiver: str, message: Batch | Predictions) -> None:
        """Send over a link, and keep a copy."""
        host.send(self._name, receiver, message)
        if self.sender is not None:
            host.watcher.offered(self._name, self._boot_id, receiver, batch_of(message))
            self.sender.offer(receiver, batch_of(message), message, wire_bytes(message), host.now_s)

    def arrived(self, host: Host, sender: str, message: Batch | Predictions) -> bool:
        """Say that a message has arrived; whether it is to be looked at, as one that was not taken on before."""
        if self._limits is None:
            return True
        batch = batch_of(message)
        host.send(self._name, sender, Receipt(sender, self._name, batch, wire_bytes(message)))
        return not self._receiver.is_duplicate(batch)

    def settle(self, receiver: str, batch: BatchId) -> None:
        """A receiver has said what became of a batch."""
        if self.sender is not None:
            self.sender.settle(receiver, batch)

    def forget(self, receiver: str) -> None:
        """Nothing may be sent there now."""
        if self.sender is not None:
            self.sender.forget(receiver)

    def take_on(self, batch: BatchId) -> None:
        """What has arrived is taken on: should it come again, it is a duplicate."""
        if self._limits is not None:
            self._receiver.take(batch)

    def receipt(self, host: Host, receipt: Receipt) -> None:
        """A receiver says what has arrived."""
        if self.sender is not None:
            host.watcher.receipted(self._name, self._boot_id, receipt)
            self.sender.receipt(receipt.receiver, receipt.batch, receipt.wire_bytes, host.now_s)

    def tick(self, host: Host) -> None:
        """Send again what no receipt came for."""
        if self.sender is None or self._limits is None:
            return
        for resend in self.sender.tick(host.now_s):
            host.watcher.sent_again(self._name, self._boot_id, resend, self._limits)
            host.send(self._name, resend.receiver, resend.message)
        host.watcher.kept(self._name, self.sender.copies, self._limits)


def batch_of(message: Batch | Predictions) -> BatchId:
    """Which batch a message carries."""
    return message.envelope.batch if isinstance(message, Batch) else message.batch


def wire_bytes(message: Batch | Predictions) -> int:
    """Size of a message."""
    tiles = message.contents if isinstance(message, Batch) else message.result.tiles
    return HEAD_BYTES + TILE_BYTES * len(tiles)
