"""The example of an external stage with a fault: python strange_stage.py FAULT SATELLITE CHECKPOINT."""

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from satllm_ros.msg import Activation

# Of a batch: four times what the constellation file says.
SLOW_S = 1.6


def example() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "examples" / "external_stage.py"
    spec = importlib.util.spec_from_file_location("external_stage", path)
    module = importlib.util.module_from_spec(spec)
    # Before it is run: the class that is made from it is looked up by its module's name.
    sys.modules["external_stage"] = module
    spec.loader.exec_module(module)
    return module


stage: Any = example()


class StrangeStage(stage.ExternalStage):
    """Does one thing wrong, and all else right."""

    fault = ""

    def answer(self, request: Activation) -> None:
        if self.fault == "silent":
            return
        if self.fault == "slow":
            time.sleep(SLOW_S)
        if self.fault == "shape":
            self._results.publish(
                Activation(header=request.header, envelope=request.envelope, cut=request.stop, stop=request.stop)
            )
            return
        super().answer(request)


class Unable(stage.Engine):
    """Loads nothing."""

    def hold(self, wanted: set) -> None:
        if wanted:
            raise RuntimeError("no engine for these blocks")


if __name__ == "__main__":
    StrangeStage.fault, satellite, checkpoint = sys.argv[1:4]
    rclpy.init()
    node = StrangeStage(satellite, (Unable if StrangeStage.fault == "unable" else stage.Engine)(checkpoint))
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        rclpy.try_shutdown()
