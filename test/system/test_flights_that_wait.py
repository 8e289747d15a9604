"""Flights from odd places, and flights to which nothing comes: what is waited for is said."""

import signal
from pathlib import Path

import pytest
from flight import constellation, started, up, write_constellation
from observer import Observer
from sensor_msgs.msg import Image
from tiny_material import SIDE, Material, picture

from satllm_ros import interfaces as graph
from satllm_ros.nodes.base.qos import profile


def test_a_flight_without_a_home_logs_into_its_run(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "ROS_LOG_DIR", "ROS_HOME"):
        monkeypatch.delenv(name, raising=False)
    config = write_constellation(tmp_path, constellation(material, (0.01, 0.01), emulate=False))
    with started(up(config), tmp_path) as flight:
        assert flight.wait() == 0, flight.story()
        assert "COMPLETE" in flight.output
        assert list((flight.latest / "logs" / "ros").glob("*.log"))
        assert "Traceback" not in flight.errors + flight.logs


def test_a_camera_on_another_topic_is_named_and_can_be_chosen(material: Material, tmp_path: Path) -> None:
    config = write_constellation(tmp_path, constellation(material, (0.01,), emulate=False))
    image = Image(height=SIDE, width=SIDE, encoding="rgb8", step=3 * SIDE, data=picture(1).tobytes())
    with started(up(config, "--camera"), tmp_path) as flight:
        with Observer(flight) as observer:
            observer.node.create_publisher(Image, "/camera/image_raw", profile(graph.Qos.CAMERA))
            observer.until(
                lambda: "nobody publishes there, but there are images on /camera/image_raw" in flight.errors,
                "a word about the camera",
            )
            flight.process.send_signal(signal.SIGINT)
            assert observer.until_ended() == 130, flight.story()
    with started(up(config, "--camera", "--image-topic", "/camera/image_raw"), tmp_path) as flight:
        with Observer(flight) as observer:
            ledgers = observer.hear(graph.LEDGER)
            camera = observer.node.create_publisher(Image, "/camera/image_raw", profile(graph.Qos.CAMERA))

            def has_come_down() -> bool:
                camera.publish(image)
                return bool(ledgers) and ledgers[-1].delivered_tiles > 0

            observer.until(has_come_down, "a tile of that camera on the ground")
            flight.process.send_signal(signal.SIGINT)
            assert observer.until_ended() == 130, flight.story()


def test_a_planner_that_dies_before_a_plan_ends_the_flight(material: Material, tmp_path: Path) -> None:
    config = write_constellation(tmp_path, constellation(material, (0.01,)))
    with started(up(config, "--camera"), tmp_path) as flight:
        with Observer(flight) as observer:
            observer.until(lambda: flight.pids("satllm_ros/planner"), "the planner's process")
            flight.kill_one("satllm_ros/planner")
            assert observer.until_ended() == 1, flight.story()
        assert "before a plan was active: nothing can fly without one" in flight.errors
        assert "flies on under the active plan" not in flight.errors
        assert flight.pids() == []
