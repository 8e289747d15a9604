"""Two lives of a stage node in a process of its own: prints its resident memory around each cleanup, as JSON [byte].

Arguments: checkpoint, its codec artefacts, number of blocks. Run by `test_memory_is_freed`.
"""

import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import rclpy
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.nodes.downlink import DownlinkNode
from satllm_ros.nodes.stage import StageNode
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.plan import Plan, Stage
from satllm_ros.satellite.memory import keep_pages
from satllm_ros.satellite.satellite_state import SatelliteState

PATIENCE_S = 120.0


def resident_bytes() -> int:
    """Memory of this process that is backed by no file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


def live(node: StageNode, satellite_state: SatelliteState, blocks: int) -> dict[str, int]:
    """Configure, load and run all blocks, clean up."""
    assert node.trigger_configure() is TransitionCallbackReturn.SUCCESS
    deadline_s = time.monotonic() + PATIENCE_S
    while node.trigger_activate() is not TransitionCallbackReturn.SUCCESS:
        assert time.monotonic() < deadline_s, "the framework cannot be imported"
        rclpy.spin_once(node, timeout_sec=0.05)
    spec = satellite_state.submodels.spec
    stages = (Stage("sat1", 0, blocks, CodecSetting(Codec.RAW)),)
    satellite_state.take_proposal(Plan(Epoch(1, 1), "/planner", spec.model_id, "sensing", stages, "sat1").sealed())
    while satellite_state.newest is None:
        assert time.monotonic() < deadline_s, satellite_state.protocol.report
        rclpy.spin_once(node, timeout_sec=0.05)
    images = np.zeros((1, spec.image_height, spec.image_width, 3), dtype=np.uint8)
    satellite_state.submodels.run(0, blocks, satellite_state.submodels.prepare_images(images), threading.Event())
    loaded = {"parameters": satellite_state.submodels.memory_bytes, "loaded": resident_bytes()}
    assert node.trigger_deactivate() is TransitionCallbackReturn.SUCCESS
    assert node.trigger_cleanup() is TransitionCallbackReturn.SUCCESS
    return {**loaded, "cleaned": resident_bytes()}


def main() -> None:
    checkpoint, artefacts, blocks = sys.argv[1], sys.argv[2], int(sys.argv[3])
    # As every process of the graph does: without more ado, nothing that was freed would go back to the system.
    keep_pages()
    rclpy.init()
    satellite_state = SatelliteState()
    values = {"checkpoint": checkpoint, "artefacts": artefacts, "satellites": ["sat1"], "autostart": False}
    downlink = DownlinkNode(namespace="/sat1", parameter_overrides=[Parameter("autostart", value=False)])
    node = StageNode(
        satellite_state,
        downlink.hello,
        namespace="/sat1",
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    print(json.dumps([live(node, satellite_state, blocks) for _ in range(2)]))
    node.destroy_node()
    downlink.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
