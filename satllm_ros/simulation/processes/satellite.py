"""A satellite as the simulation runs it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from satllm_ros.protocol import delivery
from satllm_ros.protocol import satellite as act
from satllm_ros.protocol.delivery import Origin, Restored, StoreProtocol, batch_key
from satllm_ros.protocol.hop import HopLimits, HopSender
from satllm_ros.protocol.identity import BatchId, Epoch
from satllm_ros.protocol.plan import Plan, Stage
from satllm_ros.protocol.satellite import SatelliteProtocol
from satllm_ros.protocol.signals import Ack, CustodyQuery
from satllm_ros.protocol.unhandled import unhandled
from satllm_ros.protocol.vocabulary import Cause, Verdict
from satllm_ros.simulation.processes.hops import Hops
from satllm_ros.simulation.processes.messages import Active, Batch, Predictions, Proposed, Receipt, Result, Step, Tile
from satllm_ros.simulation.processes.process import CLASSES, GROUND, MODEL_ID, SENSING, Host, Process

INBOX_BATCHES = 4


class Satellite(Process):
    """Sub-models, a worker that runs them, and a store."""

    topics = ("plan_proposed", "plan_active", "switch_state")
    memory = ("protocol", "store", "inbox", "heard_active", "hops", "_busy", "_ticks")
    machine = SatelliteProtocol
    store_machine = StoreProtocol
    hop_machine = HopSender

    def __init__(
        self,
        name: str,
        satellites: Sequence[str],
        *,
        layer_bytes: Sequence[int],
        budget_bytes: int,
        resend_s: float,
        model_id: str = MODEL_ID,
        hop_limits: HopLimits | None = None,
    ) -> None:
        super().__init__(name)
        self._hop_limits = hop_limits
        self.model_id = model_id
        self._satellites = tuple(satellites)
        self._layer_bytes = tuple(layer_bytes)
        self._budget_bytes = budget_bytes
        self._resend_s = resend_s
        # (boot id, sequence) to (batch, result, cause): None while it waits for the ground, `Cause.NONE` if it has it.
        self.disk = {"batches": {}}

    def start(self, host: Host, boot_id: int) -> None:
        self.boot_id = boot_id
        self.protocol = self.machine(
            self.name,
            boot_id,
            model_id=self.model_id,
            layer_bytes=self._layer_bytes,
            known=self._satellites,
            budget_bytes=self._budget_bytes,
        )
        restored = [
            Restored(b, None if cause is Cause.NONE else r, cause or None)
            for b, r, cause in self.disk["batches"].values()
        ]
        self.store: StoreProtocol[Result] = self.store_machine(
            self.name, restored=restored, resend_s=self._resend_s, window_batches=INBOX_BATCHES
        )
        self.inbox: deque[tuple[Batch, Stage, Plan]] = deque()
        self.heard_active: set[Epoch] = set()
        self.hops = Hops(self.name, boot_id, self._hop_limits, self.hop_machine)
        self._busy = False
        self._ticks = 0
        self._carry_out(host, [act.Publish(self.protocol.report)])
        self._keep(host, self.store.on_contact(host.in_contact(self.name), host.now_s))

    def take(self, host: Host, message: Any) -> None:
        if isinstance(message, Batch):
            if self.hops.arrived(host, message.envelope.sender, message):
                self._receive(host, message)
        elif isinstance(message, Receipt):
            self.hops.receipt(host, message)
        elif isinstance(message, Predictions):
            # The store itself knows what it has, and says so again.
            self.hops.arrived(host, message.sender, message)
            self._keep(host, self.store.on_predictions(message.batch, message.result, host.now_s))
        elif isinstance(message, Ack):
            self.hops.settle(message.sender, message.batch)
            if message.verdict is Verdict.DELIVERED:
                self._keep(host, self.store.on_delivered(message.batch, host.now_s))
            else:
                self._keep(host, self.store.on_refused(message.batch, message.cause, host.now_s))
        elif isinstance(message, CustodyQuery):
            self._keep(host, self.store.on_query(message.batches))
        elif isinstance(message, Proposed):
            self._carry_out(host, self.protocol.on_proposal(message.plan))
        elif isinstance(message, Active):
            self.heard_active.add(message.plan.epoch)
            self._carry_out(host, self.protocol.on_active(message.plan))
        else:
            self._carry_out(host, self.protocol.on_switch(message))

    def wipe(self) -> None:
        """Another computer takes its place, with an empty disk."""
        self.disk = {"batches": {}}

    def contact(self, host: Host) -> None:
        """Look whether the ground is in contact."""
        if not host.in_contact(self.name):
            # The store sends it again in the next contact.
            self.hops.forget(GROUND)
        self._keep(host, self.store.on_contact(host.in_contact(self.name), host.now_s))

    def tick(self, host: Host) -> None:
        self._ticks += 1
        if self._ticks % 4 == 0:
            host.publish(self.name, "status", self.protocol.report)
        self.contact(host)
        self._keep(host, self.store.on_tick(host.now_s))
        self.hops.tick(host)

    def done(self, host: Host, kind: str, *event: Any) -> None:
        if kind == "load":
            (blocks,) = event
            self._carry_out(host, self.protocol.on_loaded(blocks))
        elif kind == "compute":
            self._busy = False
            self._send_on(host, *event)
            self._compute(host)
        elif kind == "write":
            batch, result = event
            self.disk["batches"][batch_key(batch)] = (batch, result, None)
            host.later(self, "written", 0.0, batch, result)
        else:
            batch, result = event
            self._keep(host, self.store.on_written(batch, result, host.now_s))

    def _receive(self, host: Host, message: Batch) -> None:
        envelope = message.envelope
        decision, actions = self.protocol.on_batch(envelope, message.cut)
        self._carry_out(host, actions)
        if not message.intact:
            self._refuse(host, envelope.batch, Cause.BAD_CRC)
            return
        match decision:
            case act.Serve():
                self._enqueue(host, message, decision)
            case act.Refuse():
                self._refuse(host, envelope.batch, decision.cause)
            case act.Ignore():
                pass
            case _:
                unhandled(decision)

    def _enqueue(self, host: Host, message: Batch, decision: act.Serve) -> None:
        batch = message.envelope.batch
        if len(self.inbox) >= INBOX_BATCHES:
            self._refuse(host, batch, Cause.FULL)
            return
        self.hops.take_on(batch)
        self.inbox.append((message, decision.stage, decision.plan))
        self._compute(host)

    def _compute(self, host: Host) -> None:
        while self.inbox and not self._busy:
            message, stage, plan = self.inbox.popleft()
            if (stage.start, stage.stop) not in self.protocol.loaded:
                # It had to go while the batch waited.
                self._refuse(host, message.envelope.batch, Cause.INTERNAL)
                continue
            self._busy = True
            host.later(self, "compute", stage.stop - stage.start, message, stage, plan)

    def _send_on(self, host: Host, message: Batch, stage: Stage, plan: Plan) -> None:
        step = Step(self.name, plan.epoch, plan.plan_hash, stage.start, stage.stop)
        steps = (*message.steps, step)
        next_hop = plan.next_hop(self.name)
        envelope = replace(message.envelope, sender=self.name, destination=next_hop or plan.downlink)
        if next_hop is not None:
            self.hops.send(host, next_hop, Batch(envelope, message.contents, steps))
            return
        tiles = tuple(map(Tile, envelope.keys(), message.contents))
        result = Result(tiles, Origin(envelope.run_id, envelope.model_id, CLASSES), steps)
        if plan.downlink == self.name:
            self._keep(host, self.store.on_predictions(envelope.batch, result, host.now_s))
        else:
            self.hops.send(host, plan.downlink, Predictions(envelope.batch, result, self.name))

    def _refuse(self, host: Host, batch: BatchId, cause: Cause) -> None:
        self._acknowledge(host, Ack(batch, self.name, Verdict.REFUSED, cause))

    def _acknowledge(self, host: Host, ack: Ack) -> None:
        host.watcher.acknowledged(ack)
        host.send(self.name, SENSING, ack)

    def _carry_out(self, host: Host, actions: Sequence[act.Action]) -> None:
        for action in actions:
            match action:
                case act.Load():
                    host.watcher.asked_to_load(self.protocol)
                    host.later(self, "load", 0.0, action.blocks)
                case act.Unload():
                    host.watcher.unloaded(self, action.blocks)
                case act.Publish():
                    host.watcher.reported(action.report)
                    host.publish(self.name, "status", action.report)
                case _:
                    unhandled(action)

    def _keep(self, host: Host, actions: Sequence[delivery.StoreAction[Result]]) -> None:
        for action in actions:
            match action:
                case delivery.Write():
                    host.later(self, "write", 0.0, action.batch, action.payload)
                case delivery.MarkDelivered():
                    self._mark(action.batch, Cause.NONE)
                case delivery.SetAside():
                    self._mark(action.batch, action.cause)
                    host.watcher.set_aside(self.name, action.batch)
                case delivery.SendToGround():
                    host.watcher.sent_down(self.name, action.batch)
                    self.hops.send(host, GROUND, Predictions(action.batch, action.payload, self.name))
                case delivery.Acknowledge():
                    self._acknowledge(host, action.ack)
                case _:
                    unhandled(action)

    def _mark(self, batch: BatchId, cause: Cause) -> None:
        stored, result, _ = self.disk["batches"][batch_key(batch)]
        self.disk["batches"][batch_key(batch)] = (stored, result, cause)
