"""What sensing waits for, said as warnings: no plan, members that are missing, a camera without images."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping

from rclpy.qos import QoSCompatibility, qos_check_compatible

from satllm_ros import interfaces as graph
from satllm_ros.acquisition.waiting import (
    CameraView,
    PlanView,
    Reminder,
    no_image,
    no_plan,
    stream_waits,
)
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.qos import profile

_IMAGE_TYPES = (graph.IMAGE.type, graph.IMAGE_COMPRESSED.type)


class Waits:
    """Looks now and then at what a node waits for, and warns within ten seconds, then at ever longer intervals."""

    def __init__(self, node: FlightNode) -> None:
        self._node = node
        self._plan, self._stream, self._camera = Reminder(), Reminder(), Reminder()
        self._images = 0

    def look_at_plan(self, view: Callable[[], PlanView] | None, now_s: float) -> None:
        """Tell why no plan is active; None if one is. The view is asked for only when it is to be told."""
        waited_s = self._plan.waited_s(view is not None, now_s)
        if view is not None and waited_s is not None:
            self._node.get_logger().warning(no_plan(waited_s, view(), os.environ))

    def look_at_stream(self, obstacles: Mapping[str, str], now_s: float) -> None:
        """Tell which members of the active plan keep images from flying; empty if none does."""
        waited_s = self._stream.waited_s(bool(obstacles), now_s)
        if waited_s is not None:
            self._node.get_logger().warning(stream_waits(waited_s, obstacles))

    def look_at_camera(self, topics: Collection[str], images: int, now_s: float) -> None:
        """Tell that a camera sends nothing.

        Parameters
        ----------
        topics
            Full names of the topics that are listened to; empty where there is no camera.
        images
            How many images have come so far.
        """
        if images != self._images:
            self._images = images
            self._camera.waited_s(False, now_s)
        waited_s = self._camera.waited_s(bool(topics), now_s)
        if waited_s is not None:
            view = camera_view(self._node, topics, had_images=images > 0)
            self._node.get_logger().warning(no_image(waited_s, view, os.environ))


def camera_view(node: FlightNode, topics: Collection[str], *, had_images: bool) -> CameraView:
    """What the graph shows of a camera's topics, and of all others with images."""
    images: dict[str, str] = {}
    others: dict[str, str] = {}
    for name, types in node.get_topic_names_and_types():
        if not node.count_publishers(name):
            continue
        kind = next((kind for kind in types if kind in _IMAGE_TYPES), None)
        if kind is not None:
            images[name] = kind
        elif name in topics:
            others[name] = ", ".join(types)
    return CameraView(
        topics=tuple(topics),
        publishers={topic: node.count_publishers(topic) for topic in topics},
        other_types=others,
        incompatible=[topic for topic in topics if _is_incompatible(node, topic)],
        image_topics=images,
        had_images=had_images,
    )


def _is_incompatible(node: FlightNode, topic: str) -> bool:
    """Whether there are publishers on a camera's topic, and none of them offers what is asked for."""
    wanted = profile(graph.Qos.CAMERA)
    offers = [end.qos_profile for end in node.get_publishers_info_by_topic(topic)]
    verdicts = [qos_check_compatible(offered, wanted)[0] for offered in offers]
    return bool(verdicts) and all(verdict is QoSCompatibility.ERROR for verdict in verdicts)
