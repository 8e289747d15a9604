"""A hop publisher on real links: batches are handed over as the link takes them, and a wrong rate is told."""

import threading
from collections.abc import Callable, Iterator

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter as RosParameter
from rclpy.serialization import serialize_message

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.hop.hop_publisher import HopPublisher
from satllm_ros.nodes.hop.receipts import Receipts
from satllm_ros.protocol.identity import BatchId

SPINS = 400
SLOW_BPS = 1e3


class Ends:
    """A sender with a publisher to sat1, and who listens there, or in place of an emulated link."""

    def __init__(self, context: rclpy.Context, rate_bps: float, *, emulated: bool = False) -> None:
        given = [RosParameter("autostart", value=False)]
        self.node = FlightNode("sender", context=context, parameter_overrides=given)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.hop = HopPublisher(
            self.node,
            graph.IMAGES_INBOX,
            graph.IMAGES_OUTBOX,
            graph.SENSING,
            ["sat1"],
            emulated=emulated,
            controllers=[f"sat1={rate_bps!r},0.0"],
        )
        self.heard: list[int] = []
        heard_on, of = (graph.IMAGES_OUTBOX, graph.SENSING) if emulated else (graph.IMAGES_INBOX, "sat1")
        self.node.listen_to(heard_on, lambda message: self.heard.append(message.height), of)
        self.link_state = self.node.publish_on(graph.LINK_STATE)
        self.diagnostics: list[DiagnosticStatus] = []
        self.spin_until(lambda: self.hop.connected("sat1") and self.link_state.get_subscription_count() > 0)

    def spin_until(self, condition: Callable[[], object]) -> bool:
        for _ in range(SPINS):
            if condition():
                return True
            self.executor.spin_once(timeout_sec=0.05)
        return False

    def send(self, number: int) -> int:
        return self.hop.send(m.ImageBatch(height=number), "sat1", BatchId(1, number))

    def tell(self, rate_bps: float, *, up: bool = True) -> None:
        """The link says what it carries, and the publisher has heard it."""
        told: list[m.LinkState] = []
        listener = self.node.create_subscription(m.LinkState, "/link_state", told.append, 10)
        self.spin_until(lambda: self.link_state.get_subscription_count() > 1)
        self.link_state.publish(m.LinkState(sender=graph.SENSING, receiver="sat1", up=up, rate_bps=rate_bps))
        assert self.spin_until(lambda: told)
        # Both subscriptions had it when one has: the publisher's was there first.
        self.executor.spin_once(timeout_sec=0.05)
        self.node.destroy_subscription(listener)

    def close(self) -> None:
        self.hop.close()
        self.executor.shutdown()
        self.node.close()
        self.node.destroy_node()


@pytest.fixture
def slow(context: rclpy.Context) -> Iterator[Ends]:
    made = Ends(context, SLOW_BPS)
    yield made
    made.close()


@pytest.fixture
def fast(context: rclpy.Context) -> Iterator[Ends]:
    made = Ends(context, 1e9)
    yield made
    made.close()


@pytest.fixture
def lossy(context: rclpy.Context) -> Iterator[Ends]:
    made = Ends(context, 1e9, emulated=True)
    yield made
    made.close()


def test_what_an_emulated_link_has_lost_is_sent_again_until_a_receipt_comes(lossy: Ends) -> None:
    lossy.tell(1e9)
    wire_bytes = lossy.send(0)
    assert lossy.spin_until(lambda: lossy.heard == [0, 0]), "no receipt came"
    lossy.hop.on_received("sat1", BatchId(1, 0), wire_bytes)
    assert lossy.hop._next_s() == float("inf")
    assert lossy.node.counters.snapshot()["hop_resent"] >= 1


@pytest.mark.parametrize("odd", range(4))
def test_what_arrived_has_its_receipt_whatever_its_length(lossy: Ends, odd: int) -> None:
    lossy.tell(1e9)
    receipts = Receipts(lossy.node, "sat1", [graph.SENSING])
    arrived: list[m.ImageBatch] = []
    receipts.listen_to(graph.IMAGES_INBOX, arrived.append)
    inbox = lossy.node.publish_on(graph.IMAGES_INBOX, "sat1")
    message = m.ImageBatch(data=bytes(100 + odd))
    message.envelope.sender, message.envelope.destination = graph.SENSING, "sat1"
    message.envelope.batch = m.BatchId(boot_id=1, sequence=7)
    lossy.spin_until(
        lambda: inbox.get_subscription_count() > 0 and receipts._receipts[graph.SENSING].get_subscription_count() > 0
    )
    lossy.hop.send(message, "sat1", BatchId(1, 7))
    assert lossy.hop._next_s() < float("inf")
    # As the link node passes it on.
    inbox.publish(serialize_message(message))
    assert lossy.spin_until(lambda: lossy.hop._next_s() == float("inf")) and arrived
    counted = lossy.node.counters.snapshot()
    assert "hop_false_receipt" not in counted and "hop_resent" not in counted


def test_a_hostile_word_of_a_link_is_counted_and_the_pacer_lives(lossy: Ends) -> None:
    for rate_bps in (1e-4, 1e300, float("nan")):
        lossy.tell(rate_bps)
    assert lossy.node.counters["malformed_link_state"] == 3
    lossy.tell(1e9)
    lossy.send(0)
    assert lossy.spin_until(lambda: lossy.heard == [0, 0])


def test_over_an_emulated_link_that_is_down_or_tells_no_rate_nothing_is_sent_again(lossy: Ends) -> None:
    lossy.send(0)
    assert lossy.hop._next_s() == float("inf")
    lossy.tell(1e9)
    lossy.send(1)
    assert lossy.hop._next_s() < float("inf")
    lossy.tell(1e9, up=False)
    assert lossy.hop._next_s() == float("inf")


def test_the_next_batch_goes_when_the_last_is_received(slow: Ends) -> None:
    for number in range(3):
        assert slow.send(number) > 0
    assert slow.spin_until(lambda: slow.heard == [0])
    slow.hop.on_received("sat1", BatchId(1, 0), 100)
    assert slow.spin_until(lambda: slow.heard == [0, 1])
    slow.hop.on_received("sat1", BatchId(1, 1), 100)
    assert slow.spin_until(lambda: slow.heard == [0, 1, 2])


def test_the_next_batch_goes_when_its_time_is_over_whatever_is_heard(fast: Ends) -> None:
    for number in range(5):
        fast.send(number)
    assert fast.spin_until(lambda: fast.heard == [0, 1, 2, 3, 4])


def test_a_rate_far_from_the_controllers_is_a_warning_of_the_node(slow: Ends) -> None:
    slow.link_state.publish(m.LinkState(sender=graph.SENSING, receiver="sat1", up=True, rate_bps=5 * SLOW_BPS))
    told: list[DiagnosticStatus] = []
    slow.node.create_subscription(DiagnosticArray, "/diagnostics", lambda array: told.extend(array.status), 10)
    assert slow.spin_until(lambda: any(status.level == DiagnosticStatus.WARN for status in told))
    (warning, *_) = [status.message for status in told if status.level == DiagnosticStatus.WARN]
    assert "the link to sat1 carries 0.005 Mbit/s" in warning and "constellation file" in warning


def test_closed_it_sends_no_more_and_its_thread_ends(slow: Ends) -> None:
    before = threading.active_count()
    slow.send(0)
    slow.send(1)
    assert slow.spin_until(lambda: slow.heard == [0])
    slow.hop.close()
    assert threading.active_count() == before - 1
    slow.hop.on_received("sat1", BatchId(1, 0), 100)
    for _ in range(5):
        slow.executor.spin_once(timeout_sec=0.05)
    assert slow.heard == [0]
