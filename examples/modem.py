"""A modem's driver tells the graph what its link carries: python examples/modem.py sat1 sat2 8e6."""

from __future__ import annotations

import sys
from typing import Any

import rclpy
from rclpy.node import Node
from satllm_ros.msg import LinkState


class Modem(Node):
    """Says on `link_state`, once a second, how the link from one host to another is; ask your modem in `tell`."""

    def __init__(self, sender: str, receiver: str, rate_bps: float, **kwargs: Any) -> None:
        super().__init__("modem", **kwargs)
        self._ends, self._rate_bps = (sender, receiver), rate_bps
        self._states = self.create_publisher(LinkState, "link_state", 10)
        self.create_timer(1.0, self.tell)

    def tell(self) -> None:
        sender, receiver = self._ends
        state = LinkState(sender=sender, receiver=receiver, up=True, rate_bps=self._rate_bps, propagation_s=0.005)
        state.header.stamp = self.get_clock().now().to_msg()
        self._states.publish(state)


if __name__ == "__main__":
    rclpy.init()
    rclpy.spin(Modem(sys.argv[1], sys.argv[2], float(sys.argv[3])))
