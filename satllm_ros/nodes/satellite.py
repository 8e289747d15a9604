"""Process of one satellite: compression, stage and downlink in one executor, so raw activations stay in memory."""

from __future__ import annotations

import sys

from satllm_ros.nodes.base.process import run
from satllm_ros.nodes.compression import CompressionNode
from satllm_ros.nodes.downlink import DownlinkNode
from satllm_ros.nodes.stage import StageNode
from satllm_ros.satellite.satellite_state import SatelliteState


def main() -> int:
    def make_nodes(_: object) -> list[StageNode | CompressionNode | DownlinkNode]:
        satellite_state = SatelliteState()
        # First: it says hello while the others still import the model.
        downlink = DownlinkNode()
        # Closed in this order: the workers of compression stop before what they use goes away.
        return [CompressionNode(satellite_state, downlink), downlink, StageNode(satellite_state, downlink.hello)]

    return run(make_nodes)


if __name__ == "__main__":
    sys.exit(main())
