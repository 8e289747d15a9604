"""Process of the ground: the ground node writes predictions, the recorder reports what became of the run."""

from __future__ import annotations

import sys

from satllm_ros.nodes.base.process import Stop, run
from satllm_ros.nodes.ground import GroundNode
from satllm_ros.nodes.recorder import RecorderNode


def main() -> int:
    def make_nodes(stop: Stop) -> list[GroundNode | RecorderNode]:
        ground = GroundNode()
        recorder = RecorderNode(lambda: ground.store, stop)
        recorder.offset_of = ground.offset_of
        return [recorder, ground]

    return run(make_nodes)


if __name__ == "__main__":
    sys.exit(main())
