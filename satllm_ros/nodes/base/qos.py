"""From the graph's named qualities of service to rclpy's profiles, publishers and subscriptions."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.subscription import Subscription

from satllm_ros.interfaces import Qos, Topic
from satllm_ros.nodes.base.compat import PublisherEventCallbacks, SubscriptionEventCallbacks
from satllm_ros.nodes.base.counters import Counters


def profile(qos: Qos) -> QoSProfile:
    """The rclpy profile of a named quality of service."""
    quality = qos.value
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=quality.depth,
        reliability=ReliabilityPolicy.RELIABLE if quality.reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if quality.latched else DurabilityPolicy.VOLATILE,
    )


@cache
def message_class(type_name: str) -> type[Any]:
    """Class of a message type written `package/msg/Type`."""
    package, _, name = type_name.split("/")
    found: type[Any] = getattr(importlib.import_module(f"{package}.msg"), name)
    return found


def publisher(node: Node, counters: Counters, topic: Topic, name: str) -> Publisher[Any]:
    """Publisher on `name` that logs and counts readers with incompatible quality of service."""

    def on_incompatible(event: Any) -> None:
        counters.add("incompatible_qos")
        node.get_logger().warning(
            f"a subscription on {name} asks for a quality of service this topic does not offer: "
            f"policy {event.last_policy_kind}; see docs/topics.md"
        )

    return node.create_publisher(
        message_class(topic.type),
        name,
        profile(topic.qos),
        event_callbacks=PublisherEventCallbacks(incompatible_qos=on_incompatible)
        if topic.watched
        else PublisherEventCallbacks(use_default_callbacks=False),
    )


def subscription(
    node: Node,
    counters: Counters,
    topic: Topic,
    name: str,
    callback: Callable[..., None],
    *,
    raw: bool = False,
    lost: Callable[[int], None] = lambda _: None,
) -> Subscription[Any]:
    """Subscription on `name` that logs and counts incompatible writers and messages lost in the middleware.

    `lost` is told how many more were lost.
    """

    def on_incompatible(event: Any) -> None:
        counters.add("incompatible_qos")
        node.get_logger().warning(
            f"a publisher on {name} offers less quality of service than this topic needs: "
            f"policy {event.last_policy_kind}; see docs/topics.md"
        )

    def on_lost(event: Any) -> None:
        # Of a latched state only the newest matters: that an older one was skipped is no loss.
        counters.add("states_skipped" if topic.qos.value.latched else "message_lost", event.total_count_change)
        lost(event.total_count_change)

    return node.create_subscription(
        message_class(topic.type),
        name,
        callback,
        profile(topic.qos),
        event_callbacks=SubscriptionEventCallbacks(incompatible_qos=on_incompatible, message_lost=on_lost)
        if topic.watched
        else SubscriptionEventCallbacks(use_default_callbacks=False),
        raw=raw,
    )
