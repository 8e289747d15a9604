"""A camera's topic: one, raw or compressed, chosen and said; and what it published that was not heard."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.subscription import Subscription

from satllm_ros import interfaces as graph
from satllm_ros.acquisition.unheard import SequenceGaps
from satllm_ros.nodes.base import qos
from satllm_ros.nodes.base.flight_node import FlightNode

TYPES = {topic.type: topic for topic in (graph.IMAGE, graph.IMAGE_COMPRESSED)}
COMPRESSED_SUFFIX = "/compressed"


class Camera:
    """Listens to one image topic.

    Drivers publish each image twice, raw and compressed; two images of one moment cannot be told from one image heard
    twice, so only one topic is listened to. Without a name it is `image` or `image/compressed` of the graph, whichever
    is heard first.

    Parameters
    ----------
    topic
        Name of the topic, absolute or below the graph's root; empty: see above.
    on_image
        Called with each message and the name of its topic.
    gaps
        Counts images that were published while this listened and did not arrive, as far as the middleware tells.
    """

    def __init__(self, node: FlightNode, topic: str, on_image: Callable[[Any, str], None], gaps: SequenceGaps) -> None:
        self._node = node
        self._on_image = on_image
        self._gaps = gaps
        self._subscriptions: dict[str, Subscription[Any]] = {}
        self._wanted = ""
        self._first_s = 0.0
        self.heard_images = 0
        if not topic:
            for candidate in TYPES.values():
                self._listen(f"{node.root}/{candidate.name}", candidate)
            return
        self._wanted = topic if topic.startswith("/") else f"{node.root}/{topic}"
        if self._wanted.endswith(COMPRESSED_SUFFIX):
            self._listen(self._wanted, graph.IMAGE_COMPRESSED)
        self.tick()

    @property
    def topics(self) -> list[str]:
        """Names of the topics that are, or will be, listened to."""
        return list(self._subscriptions) or [self._wanted]

    @property
    def publishers(self) -> int:
        """How many publishers there are of what is listened to."""
        return sum(self._node.count_publishers(name) for name in self._subscriptions)

    def tick(self) -> None:
        """Look for the type of a topic whose name does not tell it; a few times a second."""
        if self._subscriptions:
            return
        types = dict(self._node.get_topic_names_and_types()).get(self._wanted, [])
        for found in types:
            if found in TYPES:
                self._listen(self._wanted, TYPES[found])
                return

    def close(self) -> None:
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _listen(self, name: str, kind: graph.Topic) -> None:
        def on_message(message: Any, info: dict[str, Any]) -> None:
            self._on_message(message, info, name)

        def on_lost(images: int) -> None:
            self._gaps.said_lost += images

        self._subscriptions[name] = qos.subscription(
            self._node, self._node.counters, kind, name, on_message, lost=on_lost
        )

    def _on_message(self, message: Any, info: dict[str, Any], name: str) -> None:
        if name not in self._subscriptions:
            # One that had arrived before the other topic was chosen.
            return
        if not self.heard_images:
            self._choose(name)
        self.heard_images += 1
        self._count_unheard(info, name)
        self._on_image(message, name)

    def _count_unheard(self, info: dict[str, Any], name: str) -> None:
        number = info.get("publication_sequence_number")
        now_s = time.monotonic()
        self._first_s = self._first_s or now_s
        # Not every middleware and distribution numbers its messages.
        if number is None or not (gap := self._gaps.note(repr(info.get("publisher_gid")).encode(), number)):
            return
        self._node.counters.add("unheard_images", gap)
        heard_per_s = (self.heard_images - 1) / max(now_s - self._first_s, 1e-3)
        sent_per_s = heard_per_s + self._gaps.missing / max(now_s - self._first_s, 1e-3)
        self._node.get_logger().warning(
            f"{self._gaps.missing} images of {name} were published and not heard so far: about {sent_per_s:.1f} come a"
            f" second, and {heard_per_s:.1f} get through; fewer or smaller ones would, or compressed ones",
            throttle_duration_sec=10.0,
        )

    def _choose(self, name: str) -> None:
        for other in [other for other in self._subscriptions if other != name]:
            self._node.destroy_subscription(self._subscriptions.pop(other))
        self._node.get_logger().info(f"images are taken from topic {name}, and from no other")
