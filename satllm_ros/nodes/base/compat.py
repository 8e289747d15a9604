"""Differences between ROS distributions (Humble, Jazzy, Kilted), all in this file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

__all__ = ["PublisherEventCallbacks", "SubscriptionEventCallbacks", "after_parameters_set", "given_parameters"]


def given_parameters(node: Node) -> dict[str, Any]:
    """Values by name that a node was given when it started, on the command line, by files or in code."""
    # No distribution has a public way to them but to declare them all, unknown ones too.
    return {name: parameter.value for name, parameter in node._parameter_overrides.items()}


def after_parameters_set(node: Node, callback: Callable[[list[Parameter[Any]]], None]) -> None:
    """Call back once parameters are in force.

    Humble has no post-set callbacks: there the callback runs from the node's next turn of the executor.
    """
    if hasattr(node, "add_post_set_parameters_callback"):
        node.add_post_set_parameters_callback(callback)
        return
    from rcl_interfaces.msg import SetParametersResult

    def on_set(parameters: list[Parameter[Any]]) -> SetParametersResult:
        def apply() -> None:
            node.destroy_timer(timer)
            callback([node.get_parameter(p.name) for p in parameters])

        timer = node.create_timer(0.0, apply, clock=Clock(clock_type=ClockType.STEADY_TIME))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(on_set)
