"""Ground node: writes predictions durably, acknowledges them; and the process it runs in, with the recorder."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets_path import checkpoint_path
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes import conversions as convert
from satllm_ros.nodes.arrivals import accepted, stored_tiles
from satllm_ros.nodes.base import FlightNode
from satllm_ros.nodes.parameters import CHECKPOINT, Parameter
from satllm_ros.nodes.process import run
from satllm_ros.nodes.recorder import RecorderNode
from satllm_ros.runtime.delivery import GroundAction, GroundProtocol, Write
from satllm_ros.runtime.identity import Envelope
from satllm_ros.runtime.store import PredictionStore

STORE_NAME = "predictions.sqlite"
Arrival = tuple[m.Predictions, Envelope]


class GroundNode(FlightNode):
    """End of the chain: a prediction is delivered once it is written here.

    It keeps nothing in memory: killed and started again, it goes on with the store as it is.
    """

    PARAMETERS = (
        CHECKPOINT,
        Parameter("run_directory", "", "Folder of the store of predictions; empty: the working directory"),
    )

    def __init__(self) -> None:
        super().__init__("ground")
        self.store: PredictionStore | None = None
        self._protocol: GroundProtocol[Arrival] = GroundProtocol(graph.GROUND)

    def configure(self) -> None:
        spec = read_spec(checkpoint_path(self.value("checkpoint")))
        self._model_id, self._classes = spec.model_id, len(spec.classes)
        self.store = PredictionStore(Path(self.value("run_directory") or ".") / STORE_NAME)

    def activate(self) -> None:
        self._ack = self.publish_on(graph.BATCH_ACK)
        self.listen_to(graph.PREDICTIONS_INBOX, self._on_predictions, graph.GROUND)

    def cleanup(self) -> None:
        if self.store is not None:
            self.store.close()
            self.store = None

    def _on_predictions(self, message: m.Predictions) -> None:
        envelope = accepted(self, message, graph.GROUND, model_id=self._model_id, classes=self._classes)
        if envelope is not None:
            self._carry_out(self._protocol.on_predictions(envelope.batch, (message, envelope)))

    def _carry_out(self, actions: Sequence[GroundAction[Arrival]]) -> None:
        for action in actions:
            if not isinstance(action, Write):
                self._ack.publish(convert.ack_to(action.ack, self.get_clock().now().to_msg()))
            elif self._write(*action.payload):
                self._carry_out(self._protocol.on_written(action.batch))

    def _write(self, message: m.Predictions, envelope: Envelope) -> bool:
        try:
            new = self.store.write(stored_tiles(message, envelope, self.now_s()))
        except sqlite3.Error as error:
            # Not acknowledged, so it comes again: a full disk may have room by then.
            self.counters.add("store_failed")
            self.get_logger().error(f"{envelope.batch} cannot be written: {error}", throttle_duration_sec=1.0)
            return False
        self.counters.add("delivered_tiles", new)
        self.counters.add("duplicate_tiles", envelope.tiles - new)
        return True


def main() -> int:
    def make_nodes(stop: object) -> list[GroundNode | RecorderNode]:
        ground = GroundNode()
        return [RecorderNode(ground, stop), ground]

    return run(make_nodes)


if __name__ == "__main__":
    sys.exit(main())
