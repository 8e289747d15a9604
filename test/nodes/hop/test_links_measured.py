"""Receipts of data messages, what a sender measures by them, and a modem's driver from the examples."""

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import serialize_message

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.interfaces import Topic
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.qos import message_class, profile
from satllm_ros.nodes.hop import link_meter
from satllm_ros.nodes.hop.link_meter import LinkMeter
from satllm_ros.nodes.hop.receipts import Receipts
from satllm_ros.protocol.identity import BatchId

MODEM = Path(__file__).resolve().parents[3] / "examples" / "modem.py"
SPINS = 600


class Bench:
    """A node under test and another one that hears it, in one executor."""

    def __init__(self, context: rclpy.Context) -> None:
        self.node = FlightNode("under_test", context=context)
        self.other = Node("other", context=context)
        self.executor = SingleThreadedExecutor(context=context)
        for node in (self.node, self.other):
            self.executor.add_node(node)

    def hear(self, topic: Topic, node: str = "") -> list[Any]:
        heard: list[Any] = []
        self.other.create_subscription(
            message_class(topic.type), f"/{topic.of(node)}", heard.append, profile(topic.qos)
        )
        return heard

    def voice(self, topic: Topic, node: str = "") -> Any:
        made = self.other.create_publisher(message_class(topic.type), f"/{topic.of(node)}", profile(topic.qos))
        self.until(lambda: made.get_subscription_count() > 0, "a listener")
        return made

    def until(self, condition: Callable[[], Any], what: str) -> None:
        for _ in range(SPINS):
            if condition():
                return
            self.executor.spin_once(timeout_sec=0.1)
        raise AssertionError(f"waited in vain for {what}")


@pytest.fixture
def bench(context: rclpy.Context) -> Iterator[Bench]:
    made = Bench(context)
    yield made
    made.executor.shutdown()
    made.node.close()
    made.node.destroy_node()
    made.other.destroy_node()


def predictions(sequence: int, destination: str) -> m.Predictions:
    envelope = m.BatchEnvelope(sender="sat1", destination=destination, batch=m.BatchId(boot_id=7, sequence=sequence))
    return m.Predictions(envelope=envelope, logits=[1.0] * sequence)


def test_whoever_sends_a_batch_is_told_that_it_has_arrived(bench: Bench) -> None:
    heard: list[m.LinkReceipt] = bench.hear(graph.LINK_RECEIPT, "sat1")
    taken: list[m.Predictions] = []
    receipts = Receipts(bench.node, graph.GROUND, ["sat1", "sat2"])
    receipts.listen_to(graph.PREDICTIONS_INBOX, taken.append)
    # Not the count in the graph, which may know of a listener before its writer does.
    bench.until(lambda: receipts._receipts["sat1"].get_subscription_count(), "who hears it")
    voice = bench.voice(graph.PREDICTIONS_INBOX, graph.GROUND)
    sent = [predictions(5, graph.GROUND), predictions(6, "sat2"), predictions(700, graph.GROUND)]
    for message in sent:
        # As senders do: what rclpy serializes while it publishes is a few bytes shorter.
        voice.publish(serialize_message(message))
    bench.until(lambda: len(taken) == 3 and len(heard) >= 2, "all of them")
    assert taken == sent, "also what is meant for somebody else is for the node to judge"
    assert [(r.sender, r.receiver, r.batch.boot_id, r.batch.sequence) for r in heard] == [
        *(("sat1", "ground", 7, 5), ("sat1", "ground", 7, 700)),
    ]
    assert [r.wire_bytes for r in heard] == [len(serialize_message(sent[0])), len(serialize_message(sent[2]))]


def test_a_sender_says_what_its_link_was_measured_to_carry(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"s": 100.0}
    meter = LinkMeter(bench.node, "sat1", ["sat2", "sat3"], lambda *_: None)
    told: list[m.LinkState] = []
    monkeypatch.setattr(meter, "_states", type("States", (), {"publish": staticmethod(told.append)}))

    def receipt(sequence: int, **changes: Any) -> m.LinkReceipt:
        values = {"sender": "sat1", "receiver": "sat2"} | changes
        return m.LinkReceipt(batch=m.BatchId(boot_id=7, sequence=sequence), **values)

    with monkeypatch.context() as patch:
        patch.setattr(link_meter, "time", type("Time", (), {"monotonic": staticmethod(lambda: clock["s"])}))
        # Two on their way at all times, half a second each: 500,000 bytes are then 8 Mbit/s.
        for sequence in range(2):
            meter.handed("sat2", BatchId(7, sequence, 0), 500_000)
        for sequence in range(30):
            clock["s"] += 0.5
            meter._on_receipt(receipt(sequence, sender="sat9"))
            meter._on_receipt(receipt(sequence, receiver="sat9"))
            meter._on_receipt(receipt(sequence + 1000))
            meter._on_receipt(receipt(sequence))
            meter.handed("sat2", BatchId(7, sequence + 2, 0), 500_000)
    assert 0 < len(told) <= 15, "at most once a second"
    assert {(s.sender, s.receiver, s.source, s.up) for s in told} == {
        ("sat1", "sat2", m.LinkState.SOURCE_MEASURED, True)
    }
    assert told[-1].rate_bps == pytest.approx(8e6, rel=0.05)


def test_the_drivers_example_says_what_the_graph_hears(bench: Bench, context: rclpy.Context) -> None:
    heard: list[m.LinkState] = bench.hear(graph.LINK_STATE)
    modem = runpy.run_path(str(MODEM))["Modem"]("sat1", "sat2", 8e6, context=context)
    bench.executor.add_node(modem)
    bench.until(lambda: heard, "its word")
    modem.destroy_node()
    (state,) = heard[:1]
    assert (state.sender, state.receiver, state.up, state.rate_bps) == ("sat1", "sat2", True, 8e6)
    assert state.source == m.LinkState.SOURCE_MODEM
