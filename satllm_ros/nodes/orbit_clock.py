"""Orbit clock node: the graph's clock where links follow an orbit; not part of a flight."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.publisher import Publisher
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.nodes.base import diagnostic_keys
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.parameters import parameter
from satllm_ros.nodes.base.process import run
from satllm_ros.nodes.base.shared_parameters import ClockParameters, StateParameters
from satllm_ros.storage.kept import keep, kept
from satllm_ros.storage.run_identity import read_run

CLOCK_PERIOD_S = 0.05
KEEP_PERIOD_S = 1.0
FILE = "orbit_clock"


@dataclass(frozen=True)
class OrbitClockParameters(ClockParameters, StateParameters):
    """When the graph's clock begins."""

    epoch: float = parameter(0.0, "What the clock shows first, seconds since 1970, UTC", "s", 0.0)


class OrbitClockNode(FlightNode):
    """Gives /clock: it stands at the epoch until a plan is active, and then goes at `speed` times real.

    So a flight begins at time 0 of its orbit however long models take to load. The next life goes on where this one
    ended: it never goes back, since what it writes down is the time that it will show when it writes next.
    """

    KEYS = diagnostic_keys.ORBIT_CLOCK
    PARAMETERS = OrbitClockParameters
    parameters: OrbitClockParameters

    def __init__(self) -> None:
        super().__init__("orbit_clock")
        self._clock_publisher: Publisher[Any] | None = None
        self._path, self._run_id = Path(), 0
        # Graph time [s] that has gone by, and since when [s, steady] it goes on; None while it stands.
        self._elapsed_s = 0.0
        self._since_s: float | None = None
        self.every(CLOCK_PERIOD_S, self._show)
        self.every(KEEP_PERIOD_S, self._keep)

    def configure(self) -> None:
        folder = Path(self.parameters.state_directory)
        known = read_run(folder)
        self._path, self._run_id = folder / FILE, (known.run_id if known is not None else None) or 0
        content = kept(self._path, self._run_id)
        try:
            self._elapsed_s = 0.0 if content is None else float(content)
        except ValueError:
            raise ValueError(f"{self._path} holds no time: move it away, and the clock begins at the epoch") from None

    def activate(self) -> None:
        self._clock_publisher = self.publish_on(graph.CLOCK)
        self.listen_to(graph.PLAN_ACTIVE, self._on_plan_active)

    def deactivate(self) -> None:
        self._elapsed_s, self._since_s, self._clock_publisher = self._time_s(), None, None

    def _on_plan_active(self, _: m.Plan) -> None:
        if self._since_s is None:
            self.get_logger().info(
                f"the clock goes, {self.parameters.speed:g} times real, from {self._elapsed_s:g} s on"
            )
            self._since_s = time.monotonic()

    def _time_s(self) -> float:
        """Graph time since the epoch."""
        since_s = 0.0 if self._since_s is None else time.monotonic() - self._since_s
        return self._elapsed_s + self.parameters.speed * since_s

    def _show(self) -> None:
        if self._clock_publisher is not None:
            nanoseconds = round(1e9 * (self.parameters.epoch + self._time_s()))
            self._clock_publisher.publish(Clock(clock=Time(nanoseconds=nanoseconds).to_msg()))

    def _keep(self) -> None:
        if self._since_s is None:
            return
        try:
            ahead_s = self._time_s() + self.parameters.speed * KEEP_PERIOD_S
            keep(self._path, self._run_id, repr(ahead_s).encode())
        except OSError as error:
            self.complain("state_not_written", f"the clock's next life will begin too early: {error}")

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        level, message, values = super().diagnose()
        if self.state == "active" and self._since_s is None:
            message = "the clock stands until a plan is active"
        return level, message, {**values, "elapsed_s": f"{self._time_s():.1f}"}


def main() -> int:
    return run(lambda _: [OrbitClockNode()])


if __name__ == "__main__":
    sys.exit(main())
