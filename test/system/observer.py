"""A ROS node in the test's own process that listens to, asks and disturbs a graph."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from flight import PATIENCE_S, Flight, Patience
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue, SetParametersResult
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.publisher import Publisher
from ros_domain import leave

from satllm_ros.interfaces import Topic
from satllm_ros.nodes.base.qos import message_class, profile

_STEP_S = 0.1


class Observer:
    """Waits for events of a flight, never for time: each `until` spins this node until its condition holds."""

    def __init__(self, flight: Flight, root: str = "") -> None:
        self.flight = flight
        self._root = root
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=flight.domain)
        self.node = rclpy.create_node("observer", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.diagnostics: dict[str, DiagnosticStatus] = {}
        self.diagnostic_keys: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)

    def close(self) -> None:
        """Leave the graph, and its shared memory with it; again is no harm."""
        if not self._context.ok():
            return
        self._executor.shutdown()
        self.node.destroy_node()
        leave(self._context)

    def __enter__(self) -> "Observer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def until(
        self,
        condition: Callable[[], Any],
        what: str,
        *,
        graph_may_end: bool = False,
        patience_s: float = PATIENCE_S,
    ) -> Any:
        """Spin until the condition is true and return its value; fail if the graph ends, or falls silent, before."""
        patience = Patience(self.flight, patience_s)
        while not (met := condition()):
            assert patience.lasts, f"waited in vain for {what}\n{self.flight.story()}"
            ended = self.flight.process.poll() is not None and not graph_may_end
            assert not ended, f"the graph ended while waiting for {what}\n{self.flight.story()}"
            self.flight.watch_segments()
            self._executor.spin_once(timeout_sec=_STEP_S)
        return met

    def until_ended(self) -> int:
        """Keep listening until the graph has ended; its exit code."""
        self.until(lambda: self.flight.process.poll() is not None, "the end of the flight", graph_may_end=True)
        return self.flight.wait()

    def hear(self, topic: Topic, node: str = "", type_: type | None = None) -> list[Any]:
        """Messages of a topic, as they come."""
        heard: list[Any] = []
        self.node.create_subscription(
            type_ or message_class(topic.type), self.name(topic, node), heard.append, profile(topic.qos)
        )
        return heard

    def voice(self, topic: Topic, node: str = "") -> Publisher:
        """Publisher on a topic, once somebody listens."""
        made = self.node.create_publisher(message_class(topic.type), self.name(topic, node), profile(topic.qos))
        self.until(made.get_subscription_count, f"a listener on {made.topic_name}")
        return made

    def name(self, topic: Topic, node: str = "") -> str:
        return f"{self._root}/{topic.of(node)}"

    def counter(self, node: str, key: str) -> int:
        """A counter that a node shows in /diagnostics; 0 while absent."""
        status = self.diagnostics.get(f"{self._root}/{node}")
        return int({v.key: v.value for v in status.values}.get(key) or 0) if status is not None else 0

    def set_parameter(self, node: str, name: str, value: Any) -> SetParametersResult:
        wanted = ParameterMessage(name=name, value=Parameter(name, value=value).get_parameter_value())
        request = SetParameters.Request(parameters=[wanted])
        (result,) = self._call(SetParameters, f"{node}/set_parameters", request).results
        return result

    def get_parameter(self, node: str, name: str) -> Any:
        (value,) = self._call(GetParameters, f"{node}/get_parameters", GetParameters.Request(names=[name])).values
        assert isinstance(value, ParameterValue)
        return parameter_value_to_python(value)

    def transition(self, node: str, transition: int) -> bool:
        """Ask a lifecycle node for a transition (number of lifecycle_msgs/Transition); whether it was made."""
        request = ChangeState.Request()
        request.transition.id = transition
        return self._call(ChangeState, f"{node}/change_state", request).success

    def state(self, node: str) -> State:
        return self._call(GetState, f"{node}/get_state", GetState.Request()).current_state

    def _call(self, type_: type, name: str, request: Any) -> Any:
        client: Client[Any, Any] = self.node.create_client(type_, f"{self._root}/{name}")
        self.until(client.service_is_ready, f"service {name}")
        future = client.call_async(request)
        self.until(future.done, f"an answer of {name}")
        self.node.destroy_client(client)
        return future.result()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.diagnostics |= {status.name: status for status in message.status}
        for status in message.status:
            self.diagnostic_keys[status.name].add(tuple(value.key for value in status.values))
