"""What is heard of a run: records of its stages, links and plans, and what sensing says of every tile."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.model.spec import ModelSpec
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.host_clock import host_clock
from satllm_ros.nodes.recording.clocks import Clocks, OffsetOf
from satllm_ros.nodes.recording.display import Display
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire import records
from satllm_ros.nodes.wire.ledger import check_ledger
from satllm_ros.nodes.wire.plan_gate import PlanGate
from satllm_ros.report.record.record import LinkRecord, RunRecord, SatelliteRecord
from satllm_ros.report.record.sensing_sessions import SensingSessions

Item = TypeVar("Item")

# A camera flies for days: the report then covers its last records.
MAX_RECORDS = 100_000


class Heard:
    """Listens, and keeps what it hears; what cannot be true is counted.

    Parameters
    ----------
    gate
        Plans are noted only if they come through.
    rereads
        Whether sensing reads its source again when it is started anew.

    Attributes
    ----------
    missed_batches
        Batches that were sent before anything was heard; None: nothing was.
    """

    def __init__(
        self,
        node: FlightNode,
        spec: ModelSpec,
        satellites: Sequence[str],
        display: Display,
        offset_of: OffsetOf,
        *,
        gate: PlanGate,
        batch_tiles: int,
        rereads: bool,
    ) -> None:
        self._node, self._display = node, display
        self._gate, self._batch_tiles = gate, batch_tiles
        self._names = tuple(satellites)
        self.rereads = rereads
        self.run = RunRecord(
            source=graph.SENSING,
            ground=graph.GROUND,
            classes=spec.classes,
            tiles_per_batch=batch_tiles,
            clock=host_clock(),
        )
        self.clocks = Clocks(node, self.run, offset_of)
        self.sessions = SensingSessions(rereads=rereads)
        self.ledger: m.Ledger | None = None
        self.missed_batches: int | None = None
        self._satellites: dict[str, SatelliteRecord] = {}
        self._links: dict[tuple[str, str], LinkRecord] = {}

    @property
    def satellites(self) -> list[SatelliteRecord]:
        """Of each satellite that was heard, in the order of the constellation."""
        return [self._satellites[name] for name in self._names if name in self._satellites]

    @property
    def unheard_plan(self) -> str:
        """Epoch of the plan that sensing said last it flies, if no such plan was heard; else empty."""
        last = self.ledger
        if last is None or not last.plan_hash:
            return ""
        epoch = convert.epoch_from(last.epoch)
        key = ((epoch.incarnation, epoch.counter), last.plan_hash)
        return "" if key in [(plan.epoch, plan.plan_hash) for plan in self.run.plans] else str(epoch)

    @property
    def links(self) -> list[LinkRecord]:
        return list(self._links.values())

    def listen(self) -> None:
        """Listen until the node is deactivated."""
        for satellite in self._names:
            self._node.listen_to(graph.STATUS, self._on_status, satellite)
            self._node.listen_to(graph.TIMING, self._on_timing, satellite)
        self._node.listen_to(graph.LINK_TRANSFER, self._on_transfer)
        self._node.listen_to(graph.LINK_STATE, self._on_link_state)
        self._node.listen_to(graph.PLAN_ACTIVE, self._on_plan)
        self._node.listen_to(graph.LEDGER, self.on_ledger)

    def on_ledger(self, message: m.Ledger) -> None:
        """Sensing has said how things stand."""
        try:
            check_ledger(message)
        except ValueError as error:
            self._node.ignore("malformed_ledger", f"ignored: {error}")
            return
        self.sessions.note(records.account(message))
        if self.missed_batches is None:
            self.missed_batches = message.sent_batches
        self.ledger = message
        self.clocks.compare(message)
        self._display.update(message, self._batch_tiles)

    def _on_status(self, message: m.SatelliteStatus) -> None:
        if self._is_known(message.satellite):
            try:
                before = self._satellites.get(message.satellite)
                self._satellites[message.satellite] = records.satellite_record(message, before)
            except ValueError:
                self._node.counters.add("malformed_status")

    def _on_timing(self, message: m.BatchTiming) -> None:
        # Sensing and the ground compute nothing; their clocks are not to be had this way.
        if self._is_known(message.satellite, among=self._names):
            try:
                self._keep(self.run.stages, record := records.stage_record(message))
                self.clocks.note(message.satellite, record.clock)
            except ValueError:
                self._node.counters.add("malformed_timing")

    def _on_transfer(self, message: m.LinkTransfer) -> None:
        if self._is_known(message.sender, message.receiver):
            try:
                self._keep(self.run.transfers, records.transfer_record(message))
            except ValueError:
                self._node.counters.add("malformed_transfer")

    def _on_link_state(self, message: m.LinkState) -> None:
        # The record is of what links are set to; what they carried, it has from transfers.
        if message.source != m.LinkState.SOURCE_MEASURED and self._is_known(message.sender, message.receiver):
            try:
                self._links[message.sender, message.receiver] = records.link_record(message)
            except ValueError:
                self._node.counters.add("malformed_link_state")

    def _on_plan(self, message: m.Plan) -> None:
        plan = self._gate.hear(message, self._node).sound
        if plan is None:
            return
        record = records.plan_record(plan)
        # A sensing node that was started again announces its plan again.
        if any((known.epoch, known.plan_hash) == (record.epoch, record.plan_hash) for known in self.run.plans):
            return
        self._keep(self.run.plans, record)
        self._display.say(plan.explanation)

    def _is_known(self, *names: str, among: Collection[str] | None = None) -> bool:
        """Whether all are of this graph, or among these; records of others would only fill the memory."""
        known = set(among or (graph.SENSING, graph.GROUND, *self._names)).issuperset(names)
        if not known:
            self._node.counters.add("unknown_name")
        return known

    def _keep(self, kept: list[Item], record: Item) -> None:
        kept.append(record)
        if len(kept) > MAX_RECORDS:
            self._node.counters.add("records_dropped", MAX_RECORDS // 10)
            del kept[: MAX_RECORDS // 10]
