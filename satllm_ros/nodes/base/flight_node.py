"""What every node of the graph shares: lifecycle, parameters from a table, counters, diagnostics."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter as RosParameter
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from satllm_ros.interfaces import Topic
from satllm_ros.nodes.base import qos
from satllm_ros.nodes.base.compat import after_parameters_set
from satllm_ros.nodes.base.counters import Counters
from satllm_ros.nodes.base.diagnostic_keys import COMMON, Keys
from satllm_ros.nodes.base.parameters import NodeParameters, declare, statements, unknown_names

DIAGNOSTICS_PERIOD_S = 1.0
AUTOSTART_PERIOD_S = 0.1
_STEADY = Clock(clock_type=ClockType.STEADY_TIME)


class NotReadyError(Exception):
    """A transition cannot be made yet; the message says what it waits for."""


class FlightNode(LifecycleNode):
    """A lifecycle node that starts by itself, says why a transition failed, and reports its counters.

    Subclasses give `PARAMETERS`, the struct of their parameters, annotate `parameters` with that same type, and give
    the `KEYS` of their diagnostics. They override `configure`, `activate`,
    `deactivate`, `cleanup`, which may be called any number of times; these raise `NotReadyError` (try again) or any
    other exception (logged, the transition fails).
    Publishers and subscriptions made with `publish_on` and `listen_to` live from activation to deactivation.

    Attributes
    ----------
    parameters
        Values in force; another struct takes its place, on the executor, when one is set.
    """

    PARAMETERS: ClassVar[type[NodeParameters]] = NodeParameters
    parameters: NodeParameters
    KEYS: ClassVar[Keys] = Keys()

    def __init__(self, name: str, *, depth_below_root: int = 0, **kwargs: Any) -> None:
        # First: a context that shuts down destroys nodes that are half made, too.
        self._companions: list[Callable[[], None]] = []
        super().__init__(name, **kwargs)
        self.counters = Counters()
        # Of a node below the root: whose node this is.
        self.satellite = self.get_namespace().split("/")[-1]
        self._diagnostic_keys = Keys({**self.KEYS.counters, **COMMON}, self.KEYS.values)
        self._depth_below_root = depth_below_root
        self._table = statements(self.PARAMETERS)
        declare(self, self._table.values())
        for sentence in unknown_names(self, self._table, _names_of_all_nodes):
            self.get_logger().warning(sentence)
        self.parameters = self._read()
        if complaint := self._complaint_of(self.parameters, set()):
            raise ValueError(f"{self.get_fully_qualified_name()}: {complaint}")
        # In this order: what is added last is asked first, and where it refuses, nothing follows.
        after_parameters_set(self, self._after_set)
        self.add_on_set_parameters_callback(self._on_set)
        self._active_publishers: list[Publisher[Any]] = []
        self._active_subscriptions: list[Subscription[Any]] = []
        self._waiting_for = ""
        self._complaint = ""
        self._cautions: list[Callable[[], list[str]]] = []
        self.state = "unconfigured"
        # Waiting would not mend it: the process ends, and whoever started it may start it again.
        self.failed_to_start = False
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.every(DIAGNOSTICS_PERIOD_S, self._publish_diagnostics)
        self._autostart_timer = None
        if self.parameters.autostart:
            self._autostart_timer = self.every(AUTOSTART_PERIOD_S, self._autostart)

    # For subclasses

    def configure(self) -> None:
        """Read parameters, start loading."""

    def activate(self) -> None:
        """Open inputs and outputs."""

    def deactivate(self) -> None:
        """Stop work; publishers and subscriptions are closed afterwards."""

    def cleanup(self) -> None:
        """Free what `configure` took."""

    def parameter_complaint(self, candidate: Any, names: set[str]) -> str | None:
        """Why a node in this state cannot take the parameters of these names, as a struct has them; None if it can."""

    def parameters_changed(self, names: set[str]) -> None:
        """These parameters are now in force."""

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        """Level, sentence and values for /diagnostics, beside the counters."""
        return DiagnosticStatus.OK, self.state, {}

    # Used by subclasses

    def every(self, period_s: float, callback: Callable[[], None]) -> Timer:
        """Call back periodically on the steady clock, whether or not simulated time stands still."""
        return self.create_timer(period_s, callback, clock=_STEADY)

    @property
    def root(self) -> str:
        """Namespace the whole graph lives in, without a trailing slash."""
        parts = self.get_namespace().strip("/").split("/")
        kept = [p for p in parts if p][: len([p for p in parts if p]) - self._depth_below_root]
        return "/" + "/".join(kept) if kept else ""

    @property
    def waits_for(self) -> str:
        """What keeps it from being active, in words; it may be a transition that somebody has to ask for."""
        return self._waiting_for or self._complaint or f"is {self.state}"

    def ends_with_it(self, close: Callable[[], None]) -> None:
        """Call this when the node is destroyed."""
        self._companions.append(close)

    def destroy_node(self) -> None:
        """Free it, and what ends with it."""
        while self._companions:
            self._companions.pop()()
        super().destroy_node()

    def now_s(self) -> float:
        """ROS time [s]."""
        return self.get_clock().now().nanoseconds * 1e-9

    def stamp(self) -> Time:
        """ROS time, as messages carry it."""
        return self.get_clock().now().to_msg()

    def complain(self, cause: str, sentence: str) -> None:
        """Count what went wrong here, and log it as an error: one a second at most, whatever the cause.

        The next one within that second, of another cause too, is in its counter only.
        """
        self.counters.add(cause)
        self.get_logger().error(sentence, throttle_duration_sec=1.0)

    def ignore(self, cause: str, sentence: str) -> None:
        """Count what others said that makes no sense, and `warn` of it."""
        self.counters.add(cause)
        self.warn(sentence)

    def warn(self, sentence: str) -> None:
        """Log a warning: one a second at most, whatever it is of, those of `ignore` among them."""
        self.get_logger().warning(sentence, throttle_duration_sec=1.0)

    def publish_on(self, topic: Topic, node: str = "") -> Publisher[Any]:
        made = qos.publisher(self, self.counters, topic, topic.under(self.root, node))
        self._active_publishers.append(made)
        return made

    def listen_to(
        self, topic: Topic, callback: Callable[[Any], None], node: str = "", *, raw: bool = False
    ) -> Subscription[Any]:
        made = qos.subscription(self, self.counters, topic, topic.under(self.root, node), callback, raw=raw)
        self._active_subscriptions.append(made)
        return made

    def beware_of(self, cautions: Callable[[], list[str]]) -> None:
        """Ask, whenever /diagnostics are due, for sentences that make them a warning."""
        self._cautions.append(cautions)

    def beware_no_more(self, cautions: Callable[[], list[str]]) -> None:
        """Ask no longer."""
        self._cautions = [kept for kept in self._cautions if kept != cautions]

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition("configure", self.configure, "inactive")

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = self._transition("activate", self.activate, "active")
        if result is not TransitionCallbackReturn.SUCCESS:
            if not self._waiting_for:
                # What it started before it failed must not run on.
                self._quietly(self.deactivate)
            self._close()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = self._transition("deactivate", self.deactivate, "inactive")
        self._close()
        self.state = "inactive"
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition("cleanup", self.cleanup, "unconfigured")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.close()
        self.state = "unconfigured"
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Stop and free everything from whatever state the node is in."""
        if self.state == "active":
            self._transition("deactivate", self.deactivate, "inactive")
        self._close()
        if self.state == "inactive":
            self._transition("cleanup", self.cleanup, "finalized")

    def _transition(self, name: str, action: Callable[[], None], target: str) -> TransitionCallbackReturn:
        # rclpy swallows exceptions of transition callbacks, so they are told here.
        try:
            action()
        except NotReadyError as reason:
            if str(reason) != self._waiting_for:
                self._waiting_for = str(reason)
                self.get_logger().info(f"cannot {name} yet: {reason}")
            return TransitionCallbackReturn.FAILURE
        except (ValueError, OSError) as error:
            self.counters.add(f"{name}_failed")
            self._waiting_for, self._complaint = "", str(error)
            self.get_logger().error(f"cannot {name}: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self.counters.add(f"{name}_failed")
            self.get_logger().error(f"cannot {name}: {traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR
        self.state, self._waiting_for, self._complaint = target, "", ""
        return TransitionCallbackReturn.SUCCESS

    def _quietly(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:
            self.get_logger().error(traceback.format_exc())

    def _autostart(self) -> None:
        failed_before = self.counters["configure_failed"] + self.counters["activate_failed"]
        if self.state == "unconfigured":
            self.trigger_configure()
        if self.state == "inactive":
            self.trigger_activate()
        failed = self.counters["configure_failed"] + self.counters["activate_failed"] > failed_before
        if (self.state == "active" or failed) and self._autostart_timer is not None:
            self.failed_to_start = failed
            self.destroy_timer(self._autostart_timer)
            self._autostart_timer = None

    def begin_anew(self) -> None:
        """Stop, forget all and start again, as a process that died and was started again would."""
        self.trigger_deactivate()
        self.trigger_cleanup()
        if self.parameters.autostart and self._autostart_timer is None:
            self._autostart_timer = self.every(AUTOSTART_PERIOD_S, self._autostart)

    def _close(self) -> None:
        for subscription in self._active_subscriptions:
            self.destroy_subscription(subscription)
        for publisher in self._active_publishers:
            self.destroy_publisher(publisher)
        self._active_subscriptions.clear()
        self._active_publishers.clear()

    # Parameters

    def _on_set(self, parameters: list[RosParameter[Any]]) -> SetParametersResult:
        own = [p for p in parameters if p.name in self._table]
        if deleted := [p.name for p in own if p.type_ is RosParameter.Type.NOT_SET]:
            reason = f"parameter {deleted[0]} cannot be deleted; allowed is {self._table[deleted[0]].allowed}"
            return SetParametersResult(successful=False, reason=reason)
        try:
            values = {p.name: self._table[p.name].taken(p.value) for p in own}
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        complaint = self._complaint_of(replace(self._read(), **values), set(values))
        return SetParametersResult(successful=not complaint, reason=complaint)

    def _complaint_of(self, candidate: NodeParameters, names: set[str]) -> str:
        try:
            return candidate.complaint() or self.parameter_complaint(candidate, names) or ""
        except ValueError as error:
            return str(error)

    def _after_set(self, parameters: list[RosParameter[Any]]) -> None:
        self.parameters = self._read()
        self.parameters_changed({p.name for p in parameters})

    def _read(self) -> Any:
        """All values as ROS has them, each of its own type; an unset list is empty."""
        return self.PARAMETERS(**{name: own.taken(self.get_parameter(name).value) for name, own in self._table.items()})

    # Diagnostics

    def _publish_diagnostics(self) -> None:
        level, message, values = self.diagnose()
        reason = self._waiting_for or self._complaint
        if self.state != "active" and reason:
            level, message = DiagnosticStatus.WARN, f"{self.state}: {reason}"
        if said := [sentence for cautions in self._cautions for sentence in cautions()]:
            level, message = max(level, DiagnosticStatus.WARN), "; ".join([message, *said])
        counts = self.counters.snapshot()
        status = DiagnosticStatus(
            level=level,
            name=self.get_fully_qualified_name(),
            message=message,
            hardware_id=socket.gethostname(),
            values=[
                KeyValue(key=key, value=value) for key, value in self._diagnostic_keys.filled(counts, values).items()
            ],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.stamp()
        self._diagnostics.publish(array)


def _names_of_all_nodes() -> set[str]:
    # Imported where it is needed: it imports every node.
    from satllm_ros.nodes.reference import NODES

    return {name for node in NODES.values() for name in statements(node.PARAMETERS)}
