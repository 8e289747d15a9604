"""Ground node: writes predictions durably, acknowledges them; and the process it runs in, with the recorder."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.nodes import conversions as convert
from satllm_ros.nodes.base import FlightNode
from satllm_ros.nodes.parameters import Parameter
from satllm_ros.nodes.process import run
from satllm_ros.nodes.recorder import RecorderNode
from satllm_ros.runtime.custody import Cause, Verdict
from satllm_ros.runtime.store import PredictionStore, StoredTile

STORE_NAME = "predictions.sqlite"


class GroundNode(FlightNode):
    """End of the chain: a prediction is delivered once it is written here."""

    PARAMETERS = (Parameter("run_directory", "", "Folder of the store of predictions; empty: the working directory"),)

    def __init__(self) -> None:
        super().__init__("ground")
        self.store: PredictionStore | None = None

    def configure(self) -> None:
        self.store = PredictionStore(Path(self.value("run_directory") or ".") / STORE_NAME)

    def activate(self) -> None:
        self._ack = self.publish_on(graph.BATCH_ACK)
        self.listen_to(graph.PREDICTIONS_INBOX, self._on_predictions, graph.GROUND)

    def cleanup(self) -> None:
        if self.store is not None:
            self.store.close()
            self.store = None

    def _on_predictions(self, message: m.Predictions) -> None:
        self.counters.add("received")
        try:
            envelope = convert.envelope_from(message.envelope)
            convert.predictions_logits(message, envelope)
        except convert.WireError as error:
            self.counters.add(f"refused_{error.cause.name.lower()}")
            self.get_logger().warning(f"predictions refused: {error}", throttle_duration_sec=1.0)
            return
        if envelope.destination != graph.GROUND:
            self.counters.add("misrouted")
            return
        acquired_s, now_s = convert.seconds(message.header.stamp), self.now_s()
        try:
            new = self.store.write(
                StoredTile(key, label, acquired_s, now_s)
                for key, label in zip(envelope.keys(), message.labels, strict=True)
            )
        except sqlite3.Error as error:
            # Not acknowledged, so it comes again: a full disk may have room by then.
            self.counters.add("store_failed")
            self.get_logger().error(f"{envelope.batch} cannot be written: {error}", throttle_duration_sec=1.0)
            return
        self.counters.add("delivered_tiles", new)
        self.counters.add("duplicate_tiles", envelope.tiles - new)
        # Acknowledged even when every tile was a duplicate: the first acknowledgement may have been lost.
        ack = m.BatchAck(
            batch=message.envelope.batch, sender=graph.GROUND, verdict=int(Verdict.DELIVERED), cause=int(Cause.NONE)
        )
        ack.header.stamp = self.get_clock().now().to_msg()
        self._ack.publish(ack)


def main() -> int:
    def make_nodes(stop: object) -> list[GroundNode | RecorderNode]:
        ground = GroundNode()
        return [RecorderNode(ground, stop), ground]

    return run(make_nodes)


if __name__ == "__main__":
    sys.exit(main())
