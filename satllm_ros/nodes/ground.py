"""Ground node: writes predictions durably, acknowledges them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.publisher import Publisher

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets.paths import checkpoint_path
from satllm_ros.model.spec import ModelSpec, read_spec
from satllm_ros.nodes.base import diagnostic_keys
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.hello import HelloThread
from satllm_ros.nodes.base.parameters import parameter
from satllm_ros.nodes.base.runs import facts_of, join_run
from satllm_ros.nodes.base.shared_parameters import FleetParameters, ModelParameters
from satllm_ros.nodes.hop.receipts import Receipts
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire.arrivals import accepted, stored_tiles
from satllm_ros.nodes.wire.ledger import check_ledger
from satllm_ros.protocol.delivery import Acknowledge, AdoptRun, GroundAction, GroundProtocol, Origin, Write
from satllm_ros.protocol.identity import BatchId, Envelope
from satllm_ros.protocol.signals import Ack
from satllm_ros.protocol.unhandled import unhandled
from satllm_ros.protocol.vocabulary import Cause
from satllm_ros.storage.prediction_store import PredictionStore

STORE_NAME = "predictions.sqlite"
Arrival = tuple[m.Predictions, Envelope]


@dataclass(frozen=True)
class _Archive:
    """What there is from configuring to cleaning up."""

    machine: GroundProtocol[Arrival]
    store: PredictionStore


@dataclass(frozen=True)
class GroundParameters(FleetParameters, ModelParameters):
    """What the ground is told."""

    run_directory: str = parameter("", "Folder of the store of predictions; empty: the working directory")


class GroundNode(FlightNode):
    """End of the chain: a prediction is delivered once it is written here.

    It keeps nothing in memory: killed and started again, it goes on with the store as it is.

    Which run it is of says the run's folder, or its store, or else sensing's ledger. What another run or another model
    has made is refused for good; as long as the run is not known, predictions are neither written nor answered.

    Attributes
    ----------
    hello
        Of the whole process; it knows the offsets of all others' clocks.
    """

    KEYS = diagnostic_keys.GROUND
    PARAMETERS = GroundParameters
    parameters: GroundParameters

    def __init__(self) -> None:
        super().__init__("ground")
        self.hello = HelloThread(self, graph.GROUND, self.parameters.satellites)
        self._configured: _Archive | None = None
        self._acks: Publisher[Any] | None = None
        self._said_unknown = False

    def configure(self) -> None:
        spec = read_spec(checkpoint_path(self.parameters.checkpoint))
        folder = Path(self.parameters.run_directory)
        store = PredictionStore(folder / STORE_NAME, run_id=self._run_of(folder, spec))
        machine: GroundProtocol[Arrival] = GroundProtocol(
            graph.GROUND, model_id=spec.model_id, classes=len(spec.classes), run_id=store.run_id
        )
        self._configured = _Archive(machine, store)
        self._said_unknown = False
        # What the life before took with it is sent again.
        self.hello.begin_life()

    def _run_of(self, folder: Path, spec: ModelSpec) -> int | None:
        """The run that began in this folder, if one did on this computer."""
        run = join_run(self, folder, facts_of(spec))
        return run.run_id if run is not None else None

    def activate(self) -> None:
        self._acks = self.publish_on(graph.BATCH_ACK)
        self.listen_to(graph.LEDGER, self._on_ledger)
        Receipts(self, graph.GROUND, self.parameters.satellites).listen_to(
            graph.PREDICTIONS_INBOX, self._on_predictions
        )
        self.hello.set_ready(True)

    def deactivate(self) -> None:
        self.hello.set_ready(False)
        self._acks = None

    def cleanup(self) -> None:
        archive, self._configured = self._configured, None
        if archive is not None:
            archive.store.close()

    @property
    def store(self) -> PredictionStore | None:
        """All predictions that have come down; None before configuring, and after cleaning up."""
        return self._configured.store if self._configured is not None else None

    @property
    def _archive(self) -> _Archive:
        assert self._configured is not None
        return self._configured

    def _on_ledger(self, message: m.Ledger) -> None:
        try:
            check_ledger(message)
        except convert.WireError as error:
            self.ignore("malformed_ledger", f"ignored: {error}")
            return
        machine = self._archive.machine
        self._carry_out(machine.on_run(message.run_id))
        if message.run_id not in (0, machine.run_id):
            self.get_logger().warning(
                f"sensing flies run {message.run_id:016x}, this ground keeps to run {machine.run_id or 0:016x}"
                " and refuses all else: give it a folder of its own for another run",
                throttle_duration_sec=10.0,
            )

    def _on_predictions(self, message: m.Predictions) -> None:
        envelope = accepted(self, message, graph.GROUND, self._refuse_malformed)
        if envelope is None:
            return
        origin = Origin(envelope.run_id, envelope.model_id, message.classes)
        self._carry_out(self._archive.machine.on_predictions(envelope.batch, origin, (message, envelope)))
        if self._archive.machine.run_id is None and not self._said_unknown:
            self._said_unknown = True
            self.get_logger().warning(
                "predictions have come, and neither the run's folder, nor the store, nor sensing's ledger has said"
                " which run this is: they stay in the satellites' stores until sensing is heard"
            )

    def _refuse_malformed(self, batch: BatchId) -> None:
        self._carry_out(self._archive.machine.on_malformed(batch))

    def _carry_out(self, actions: Sequence[GroundAction[Arrival]]) -> None:
        left = list(actions)
        while left:
            action = left.pop(0)
            match action:
                case Write():
                    if self._write(*action.payload):
                        left[:0] = self._archive.machine.on_written(action.batch)
                case AdoptRun():
                    self._adopt(action.run_id)
                case Acknowledge():
                    self._acknowledge(action.ack)
                case _:
                    unhandled(action)

    def _acknowledge(self, ack: Ack) -> None:
        assert self._acks is not None
        self._acks.publish(convert.ack_to(ack, self.stamp()))
        if ack.cause is Cause.FOREIGN:
            self.get_logger().error(
                f"{ack.batch} is of another model or run than this ground, and refused for good",
                throttle_duration_sec=1.0,
            )

    def _adopt(self, run_id: int) -> None:
        try:
            self._archive.store.adopt(run_id)
        except sqlite3.Error as error:
            # Kept to all the same; the next life of the ground asks anew.
            self.complain("store_failed", f"run {run_id:016x} cannot be noted: {error}")
        else:
            self.get_logger().info(f"this ground is of run {run_id:016x}, as sensing says")

    def _write(self, message: m.Predictions, envelope: Envelope) -> bool:
        try:
            new = self._archive.store.write(stored_tiles(message, envelope, self.now_s()))
        except sqlite3.Error as error:
            # Not acknowledged, so it comes again: a full disk may have room by then.
            self.complain("store_failed", f"{envelope.batch} cannot be written: {error}")
            return False
        self.counters.add("delivered_tiles", new)
        self.counters.add("duplicate_tiles", envelope.tiles - new)
        return True

    def offset_of(self, host: str) -> tuple[float, float] | None:
        """How far a host's monotonic clock is ahead of this one, and the uncertainty of that [s]; None if not known."""
        offset = self.hello.offset(host)
        return None if offset is None else (offset.offset_s, offset.uncertainty_s)

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        level, sentence, values = super().diagnose()
        return level, sentence, {**values, **(self._configured.machine.causes if self._configured is not None else {})}
