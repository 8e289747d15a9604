"""The outlet of a node on real links: batches are handed over as the link takes them, and a wrong rate is told."""

import threading
from collections.abc import Iterator

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter as RosParameter

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.nodes.base import FlightNode
from satllm_ros.nodes.outlet import Outlet
from satllm_ros.runtime.identity import BatchId

SPINS = 400
SLOW_BPS = 1e3


class Ends:
    """A sender with an outlet to sat1, and who listens there."""

    def __init__(self, context: rclpy.Context, rate_bps: float) -> None:
        given = [RosParameter("autostart", value=False)]
        self.node = FlightNode("sender", context=context, parameter_overrides=given)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.outlet = Outlet(
            self.node,
            graph.IMAGES_INBOX,
            graph.IMAGES_OUTBOX,
            graph.SENSING,
            ["sat1"],
            emulated=False,
            controllers=[f"sat1={rate_bps!r}"],
        )
        self.heard: list[int] = []
        self.node.listen_to(graph.IMAGES_INBOX, lambda message: self.heard.append(message.height), "sat1")
        self.link_state = self.node.publish_on(graph.LINK_STATE)
        self.diagnostics: list[DiagnosticStatus] = []
        self.spin_until(lambda: self.outlet.connected("sat1") and self.link_state.get_subscription_count() > 0)

    def spin_until(self, condition) -> bool:  # noqa: ANN001
        for _ in range(SPINS):
            if condition():
                return True
            self.executor.spin_once(timeout_sec=0.05)
        return False

    def send(self, number: int) -> int:
        return self.outlet.send(m.ImageBatch(height=number), "sat1", BatchId(1, number))

    def close(self) -> None:
        self.outlet.close()
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


def test_the_next_batch_goes_when_the_last_is_received(slow: Ends) -> None:
    for number in range(3):
        assert slow.send(number) > 0
    assert slow.spin_until(lambda: slow.heard == [0])
    slow.outlet.on_received("sat1", BatchId(1, 0))
    assert slow.spin_until(lambda: slow.heard == [0, 1])
    slow.outlet.on_received("sat1", BatchId(1, 1))
    assert slow.spin_until(lambda: slow.heard == [0, 1, 2])


def test_the_next_batch_goes_when_its_time_is_over_whatever_is_heard(fast: Ends) -> None:
    for number in range(5):
        fast.send(number)
    assert fast.spin_until(lambda: fast.heard == [0, 1, 2, 3, 4])


def test_a_rate_far_from_the_controllers_is_a_warning_of_the_node(slow: Ends) -> None:
    slow.link_state.publish(m.LinkState(sender=graph.SENSING, receiver="sat1", up=True, rate_bps=5 * SLOW_BPS))
    told: list[DiagnosticStatus] = []
    from diagnostic_msgs.msg import DiagnosticArray

    slow.node.create_subscription(DiagnosticArray, "/diagnostics", lambda array: told.extend(array.status), 10)
    assert slow.spin_until(lambda: any(status.level == DiagnosticStatus.WARN for status in told))
    (warning, *_) = [status.message for status in told if status.level == DiagnosticStatus.WARN]
    assert "the link to sat1 carries 0.005 Mbit/s" in warning and "constellation file" in warning


def test_closed_it_sends_no_more_and_its_thread_ends(slow: Ends) -> None:
    before = threading.active_count()
    slow.send(0)
    slow.send(1)
    assert slow.spin_until(lambda: slow.heard == [0])
    slow.outlet.close()
    assert threading.active_count() == before - 1
    slow.outlet.on_received("sat1", BatchId(1, 0))
    for _ in range(5):
        slow.executor.spin_once(timeout_sec=0.05)
    assert slow.heard == [0]
