"""Hellos between threads over real DDS: what silences them, and what they tell of those who say them."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.hello import HelloThread
from satllm_ros.nodes.base.shared_parameters import FleetParameters
from satllm_ros.protocol.membership.liveness import Life, Liveness, LivenessLimits
from satllm_ros.protocol.membership.presence import PresenceLimits

PATIENCE_S = 120.0
# As in flight, but for the patience with who stands still.
LIMITS = PresenceLimits(executor_s=1.0)


class Owner(FlightNode):
    """A node that says hello, and nothing else."""

    PARAMETERS = FleetParameters
    parameters: FleetParameters

    def __init__(self, context: rclpy.Context, name: str, **hello: Any) -> None:
        overrides = [Parameter("satellites", value=["sat1", "sat2"]), Parameter("autostart", value=False)]
        super().__init__(f"owner_of_{name}", context=context, parameter_overrides=overrides)
        self.hello = HelloThread(self, name, self.parameters.satellites, limits=LIMITS, **hello)


class Stand:
    """Owners of hellos, each spun by a thread of its own."""

    def __init__(self, context: rclpy.Context) -> None:
        self._context = context
        self._ends: list[Callable[[], None]] = []
        self._waiting = threading.Condition()

    def add(self, name: str, **hello: Any) -> Owner:
        owner = Owner(self._context, name, **hello)
        executor = SingleThreadedExecutor(context=self._context)
        executor.add_node(owner)
        stop = threading.Event()

        def spin() -> None:
            while not stop.is_set():
                executor.spin_once(timeout_sec=0.1)

        thread = threading.Thread(target=spin)
        thread.start()

        def end() -> None:
            stop.set()
            thread.join()
            executor.shutdown()
            owner.destroy_node()

        self._ends.append(end)
        return owner

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        deadline_s = time.monotonic() + PATIENCE_S
        with self._waiting:
            while not (met := condition()):
                assert time.monotonic() < deadline_s, f"waited in vain for {what}"
                self._waiting.wait(0.05)
        return met

    def close(self) -> None:
        for end in self._ends:
            end()


@pytest.fixture
def stand(context: rclpy.Context) -> Iterator[Stand]:
    made = Stand(context)
    yield made
    made.close()


def test_two_that_are_ready_come_into_contact_and_compare_their_clocks(stand: Stand) -> None:
    one, other = stand.add("sat1"), stand.add("ground")
    stand.until(lambda: one.hello.present() == {"ground"} and other.hello.present() == {"sat1"}, "hellos both ways")
    assert not one.hello.contact("ground").is_two_way, "it is not ready"
    other.hello.set_ready(True)
    stand.until(lambda: one.hello.contact("ground").is_two_way, "contact")
    # One clock, whatever the delays were.
    found = stand.until(lambda: one.hello.offset("ground"), "an exchange")
    assert abs(found.offset_s) <= found.uncertainty_s
    life = one.hello.contact("ground").boot_id
    assert other.hello.begin_life() == life and other.hello.begin_life() != life
    stand.until(lambda: one.hello.contact("ground").boot_id != life, "the new life")
    stand.until(lambda: one.hello.contact("ground").is_two_way, "contact with the new life")


def test_who_says_hello_while_its_executor_is_blocked_is_dead_after_a_stated_time(stand: Stand) -> None:
    observer, satellite = stand.add("sensing"), stand.add("sat1")
    satellite.hello.set_ready(True)
    limits = LivenessLimits()
    liveness = Liveness(["sat1"], limits)

    def life() -> Life:
        for sign in observer.hello.signs():
            liveness.on_sign(sign.name, sign.boot_id)
        liveness.on_tick(time.monotonic())
        return liveness.life("sat1")

    stand.until(lambda: life() is Life.ALIVE, "its signs of life")
    blocked, release = threading.Event(), threading.Event()

    def block() -> None:
        blocked.set()
        release.wait(PATIENCE_S)

    timer = satellite.every(0.01, block)
    assert blocked.wait(PATIENCE_S)
    stand.until(lambda: life() is Life.DEAD, "its death")
    assert observer.hello.is_stuck("sat1") and "sat1" in observer.hello.present(), "it says hello all the while"
    assert observer.counters["hello_stuck"] > 0
    timer.cancel()
    release.set()
    stand.until(lambda: life() is Life.ALIVE, "its return")


def test_a_worker_that_stands_still_is_told(stand: Stand) -> None:
    observer, satellite = stand.add("sensing"), stand.add("sat1")
    satellite.hello.set_ready(True)
    stand.until(observer.hello.signs, "its signs of life")
    satellite.hello.worker_age_s = lambda: LIMITS.worker_s + 1.0
    stand.until(lambda: observer.hello.is_stuck("sat1"), "the standstill")


def test_two_by_one_name_both_say_so(stand: Stand) -> None:
    one, other = stand.add("sat1"), stand.add("sat1")
    stand.until(lambda: one.counters["hello_double"] and other.counters["hello_double"], "both counts")
    planners = [stand.add("planner", alone=False) for _ in range(2)]
    stand.until(lambda: one.hello.contact("planner").is_heard, "a planner")
    assert not any(planner.counters["hello_double"] for planner in planners)


def test_it_ends_with_its_owner(context: rclpy.Context) -> None:
    before = {thread for thread in threading.enumerate() if thread.name == "hello"}
    owner = Owner(context, "sat1")
    (started,) = {thread for thread in threading.enumerate() if thread.name == "hello"} - before
    owner.destroy_node()
    assert not started.is_alive()
