"""How the stream stands, in words: for /diagnostics, and in the log what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from satllm_ros.acquisition.waiting import PlanView
from satllm_ros.data.tiles import Tile
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.custody.copies import Copies
from satllm_ros.nodes.images.camera import Camera
from satllm_ros.nodes.images.image_source import ImageSource
from satllm_ros.nodes.images.waits import Waits
from satllm_ros.protocol.sensing import SensingProtocol


class Standing:
    """Looks at custody and plans of one life of sensing, and says how it stands with them.

    Parameters
    ----------
    has_planner
        Says whether a planner is there.
    """

    def __init__(
        self,
        node: FlightNode,
        protocol: SensingProtocol[list[Tile]],
        source: ImageSource,
        copies: Copies,
        satellites: Sequence[str],
        has_planner: Callable[[], bool],
    ) -> None:
        self._node = node
        self._protocol, self._source, self._copies = protocol, source, copies
        self._satellites, self._has_planner = list(satellites), has_planner
        self._waits = Waits(node)
        self._told_obstacles: dict[str, str] = {}

    def tell(self, camera: Camera | None, now_s: float) -> None:
        """Log what keeps the stream, when that has changed, and remind of it; a few times a second."""
        protocol = self._protocol
        obstacles = protocol.obstacles
        if obstacles != self._told_obstacles:
            self._told_obstacles = obstacles
            self._node.get_logger().info(
                f"the stream waits: {_sentence(obstacles)}" if obstacles else "the stream goes on"
            )
        self._waits.look_at_plan(self._plan_view if protocol.active is None else None, now_s)
        self._waits.look_at_stream(obstacles, now_s)
        if camera is not None:
            self._waits.look_at_camera(camera.topics, camera.heard_images, now_s)

    def _plan_view(self) -> PlanView:
        protocol = self._protocol
        return PlanView(
            satellites=self._satellites,
            silent=protocol.unreported,
            has_planner=self._has_planner(),
            has_proposal=protocol.proposal is not None,
            unready=protocol.unready,
        )

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        """Level, sentence and values for /diagnostics while sensing is active."""
        level, sentence = self._level()
        return level, sentence, self._values()

    def _level(self) -> tuple[bytes, str]:
        protocol = self._protocol
        if protocol.active is None:
            missing = ", ".join(sorted(protocol.waiting_for))
            return DiagnosticStatus.WARN, f"waiting for {missing} to be ready" if missing else "waiting for a plan"
        if protocol.obstacles:
            return DiagnosticStatus.WARN, f"waiting: {_sentence(protocol.obstacles)}"
        if protocol.draining and protocol.proposal is not None:
            return DiagnosticStatus.OK, f"paused until nothing is in flight, for plan {protocol.proposal.epoch}"
        return DiagnosticStatus.OK, "streaming"

    def _values(self) -> dict[str, Any]:
        custody, counts = self._protocol.custody, self._source.counts()
        tally = custody.tally()
        return {
            "acquired_tiles": counts.acquired_tiles + self._copies.restored_tiles,
            "waiting_tiles": tally.waiting + counts.waiting_tiles,
            "in_flight_tiles": tally.in_flight,
            "stored_tiles": tally.stored,
            "delivered_tiles": tally.delivered,
            "dropped_tiles": tally.dropped + counts.dropped.total(),
            "lost_tiles": self._copies.lost_tiles,
            "withdrawn_drains": self._protocol.withdrawn_drains,
            **custody.causes,
        }


def _sentence(obstacles: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {why if why != 'dead' else 'is dead'}" for name, why in obstacles.items())
