"""Hellos of a process: said and heard on a thread and by a writer of their own, whatever its executor does."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets.share import software_version
from satllm_ros.nodes.base import qos
from satllm_ros.protocol.identity import new_boot_id
from satllm_ros.protocol.membership.clock_offset import Offset
from satllm_ros.protocol.membership.hello import Heard, Hello, HelloState
from satllm_ros.protocol.membership.presence import Contact, Note, Presence, PresenceLimits, Sign
from satllm_ros.protocol.unhandled import unhandled

if TYPE_CHECKING:
    from satllm_ros.nodes.base.flight_node import FlightNode

# Patience with the end of the thread.
CLOSE_S = 2.0
# How often the owner's executor shows that it moves.
PROGRESS_PERIOD_S = 1.0
# Signs of life that wait for the owner: more than any graph gives while it looks away for a minute.
MAX_SIGNS = 4096


class HelloThread:
    """Says hello for one process, and hears all others; safe to ask from any thread.

    The owner's executor takes no part in it, but for a timer that shows that it moves. It ends with the owner.

    Parameters
    ----------
    owner
        It counts and logs what is noted.
    name
        What this process is called among the others.
    satellites
        Who may be there, beside sensing, ground and planner.
    alone
        Whether a second process by this name is a mistake.
    """

    def __init__(
        self,
        owner: FlightNode,
        name: str,
        satellites: Iterable[str],
        *,
        alone: bool = True,
        limits: PresenceLimits = PresenceLimits(),  # noqa: B008
    ) -> None:
        self._owner = owner
        self._lock = threading.Lock()
        self._presence = Presence(
            name,
            new_boot_id(),
            [
                *satellites,
                *(graph.SENSING, graph.GROUND, graph.PLANNER),
                # Of a satellite whose stage somebody else has written.
                graph.external_stage_of(name),
            ],
            limits,
            software=software_version(),
            alone=alone,
        )
        self._state = HelloState.STARTING
        self._has_begun = False
        self._progress_s = time.monotonic()
        self.worker_age_s = _nothing_waits
        self._signs: deque[Sign] = deque(maxlen=MAX_SIGNS)
        self._stopping = threading.Event()
        # A node of its own with nothing in it but this: an executor takes whole nodes, and what waits in the owner's
        # must not silence it.
        self._node = Node(
            f"{owner.get_name()}_hello",
            context=owner.context,
            namespace=owner.get_namespace(),
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
            parameter_overrides=[RosParameter("start_type_description_service", value=False)],
        )
        topic = f"{owner.root}/{graph.HELLO.of()}"
        self._publisher = qos.publisher(self._node, owner.counters, graph.HELLO, topic)
        qos.subscription(self._node, owner.counters, graph.HELLO, topic, self._on_hello)
        self._node.create_timer(limits.period_s, self._say, clock=Clock(clock_type=ClockType.STEADY_TIME))
        owner.every(PROGRESS_PERIOD_S, self._note_progress)
        owner.ends_with_it(self.close)
        self._executor = SingleThreadedExecutor(context=owner.context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="hello", daemon=True)
        self._thread.start()

    # For the nodes of the process

    def begin_life(self) -> int:
        """Boot id of the life that now begins; from the second on, another one than that of the life before."""
        with self._lock:
            if self._has_begun:
                self._presence.begin_life(new_boot_id())
            self._has_begun = True
            return self._presence.boot_id

    def set_ready(self, ready: bool) -> None:
        """Say from the next hello on whether this process is ready; if not, that somebody else must see to it."""
        self._state = HelloState.READY if ready else HelloState.WAITING

    def signs(self) -> list[Sign]:
        """Signs of life that have come since this was last asked."""
        taken: list[Sign] = []
        while self._signs:
            taken.append(self._signs.popleft())
        return taken

    def contact(self, name: str) -> Contact:
        """How things stand with another process."""
        with self._lock:
            return self._presence.contact(name, time.monotonic())

    def present(self, within_s: float | None = None) -> frozenset[str]:
        """Names of all that were heard of late, whether or not they are ready yet; see `Presence.present`."""
        with self._lock:
            return self._presence.present(time.monotonic(), within_s)

    def starting(self, within_s: float) -> frozenset[str]:
        """Names of those that were heard within `within_s` and will be ready by themselves, or are."""
        with self._lock:
            return self._presence.starting(time.monotonic(), within_s)

    def is_stuck(self, name: str) -> bool:
        """Whether another process last said that its work stands still."""
        with self._lock:
            return self._presence.is_stuck(name)

    def offset(self, name: str) -> Offset | None:
        """Another process's monotonic clock less this one's; None before the first two-way exchange."""
        with self._lock:
            return self._presence.offset(name, time.monotonic())

    def close(self) -> None:
        """Fall silent, and free what it has."""
        self._stopping.set()
        self._executor.wake()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            # A context that shuts down destroys its nodes under a lock that this thread may wait for: it ends with it.
            return
        self._node.destroy_node()

    # On its own thread

    def _spin(self) -> None:
        try:
            self._spin_until_stopped()
        finally:
            # Here, where it is sure to be done: an executor that is left to the interpreter's end complains.
            self._executor.shutdown()

    def _spin_until_stopped(self) -> None:
        while not self._stopping.is_set():
            try:
                self._executor.spin_once(timeout_sec=self._presence.limits.period_s)
            except ExternalShutdownException:
                return
            except Exception:
                if not self._owner.context.ok():
                    return
                # Whatever one message did, the next hello must be said.
                self._owner.counters.add("hello_failed")
                traceback.print_exc()

    def _say(self) -> None:
        worker_age_s = self.worker_age_s()
        with self._lock:
            now_s = time.monotonic()
            hello = self._presence.say(
                now_s,
                state=self._state,
                executor_age_s=max(0.0, now_s - self._progress_s),
                worker_age_s=worker_age_s,
            )
        self._publisher.publish(hello_to(hello))

    def _on_hello(self, message: m.Hello) -> None:
        hello = hello_from(message)
        with self._lock:
            answers = self._presence.on_hello(hello, time.monotonic())
        for answer in answers:
            match answer:
                case Sign():
                    self._signs.append(answer)
                case Note():
                    self._owner.counters.add(answer.cause)
                    if answer.sentence:
                        self._owner.get_logger().warning(answer.sentence)
                case _:
                    unhandled(answer)

    # On the owner's executor

    def _note_progress(self) -> None:
        self._progress_s = time.monotonic()


def hello_to(hello: Hello) -> m.Hello:
    """Into a message."""
    heard = [
        m.HelloHeard(
            name=h.name, boot_id=h.boot_id, sequence=h.sequence, sent_s=h.sent_s, received_s=h.received_s
        )
        for h in hello.heard
    ]  # fmt: skip
    return m.Hello(
        name=hello.name,
        boot_id=hello.boot_id,
        protocol=hello.protocol,
        software=hello.software,
        sequence=hello.sequence,
        sent_s=hello.sent_s,
        state=int(hello.state),
        executor_age_s=hello.executor_age_s,
        worker_age_s=hello.worker_age_s,
        heard=heard,
    )


def hello_from(message: m.Hello) -> Hello:
    """From a message; what is in it is judged by `Presence`."""
    return Hello(
        message.name,
        message.boot_id,
        message.sequence,
        message.sent_s,
        message.protocol,
        message.software,
        message.state,
        message.executor_age_s,
        message.worker_age_s,
        tuple(Heard(h.name, h.boot_id, h.sequence, h.sent_s, h.received_s) for h in message.heard),
    )


def _nothing_waits() -> float:
    return 0.0
