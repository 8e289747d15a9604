"""The file of a planner's incarnation: what it holds, and a disk that does not take it."""

from pathlib import Path

import pytest
import rclpy

from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.proposing import incarnation_file
from satllm_ros.nodes.proposing.incarnation_file import IncarnationFile


def test_one_that_cannot_be_written_is_not_taken_and_complained_of_once_a_second(
    context: rclpy.Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise OSError("No space left on device")

    node = FlightNode("probe", context=context)
    file = IncarnationFile(node, tmp_path / "planner.incarnation")
    assert file.write(3) and file.value == 3
    monkeypatch.setattr(incarnation_file, "write_incarnation", fails)
    assert not file.write(4) and not file.write(4)
    node.destroy_node()

    assert file.value == 3 and node.counters["state_not_written"] == 2
    assert capfd.readouterr().err.count("cannot propose: No space left on device") == 1
