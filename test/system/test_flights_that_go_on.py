"""Flights that lose processes and start them again, share a domain with another, or take their time from a bag."""

import json
import signal
from pathlib import Path

import pytest
import rclpy.time
from flight import constellation, started, up, write_constellation
from observer import Observer
from ros_domain import own_domain
from rosgraph_msgs.msg import Clock
from tiny_material import Material

from satllm_ros import interfaces as graph
from satllm_ros.data.rosbag.bag import image_topic, read_messages

BLOCK_S = (0.05, 0.05, 0.05)


@pytest.mark.parametrize(
    "executable",
    # The others are killed one after the other in a short chaos flight, too.
    ["satellite", *(pytest.param(name, marks=pytest.mark.slow) for name in ("sensing", "ground"))],
)
def test_a_process_that_is_killed_comes_back_and_nothing_is_lost(
    material: Material, tmp_path: Path, executable: str
) -> None:
    config = write_constellation(tmp_path, constellation(material, BLOCK_S))
    with started(up(config, "--respawn"), tmp_path) as flight:
        with Observer(flight) as observer:
            predictions = observer.hear(graph.PREDICTIONS_INBOX, graph.GROUND)
            observer.until(lambda: predictions, "the first predictions")
            flight.kill_one(f"satllm_ros/{executable}", "__ns:=/sat2" if executable == "satellite" else "__ns:=/")
            observer.until(lambda: "started again in 0.5 s" in flight.errors, "its death in words")
        assert flight.wait() == 0, flight.story()
        summary = json.loads((flight.latest / "summary.json").read_text())
        assert summary["complete"] and summary["tiles"]["received"] == material.bag_tiles
        assert flight.pids() == [] and flight.segments_left() == []


def test_two_graphs_share_a_domain(material: Material, tmp_path: Path) -> None:
    """Nested namespaces, side by side: neither hears of the other's batches."""
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
        write_constellation(folder, constellation(material, BLOCK_S[:2]))
    with own_domain() as domain:
        commands = [up(f / "constellation.yaml", "--namespace", f"fleet/{f.name}") for f in folders]
        with started(commands[0], folders[0], domain) as first, started(commands[1], folders[1], domain) as second:
            for flight in (first, second):
                assert flight.wait() == 0, flight.story()
                summary = json.loads((flight.latest / "summary.json").read_text())
                tiles = {"sent": material.bag_tiles, "received": material.bag_tiles, "duplicates": 0, "lost": 0}
                assert summary["complete"] and summary["tiles"] == tiles | {"dropped": {}}


def test_a_bag_is_replayed_under_simulated_time(material: Material, tmp_path: Path) -> None:
    """As by `ros2 bag play --clock`: images and /clock by a player, which then leaves the clock standing still."""
    topic = image_topic(material.bag)
    config = write_constellation(tmp_path, constellation(material, BLOCK_S[:2]))
    with (
        started(up(config, "--camera", "--use-sim-time"), tmp_path) as flight,
        Observer(flight) as observer,
    ):
        plans, ledgers = observer.hear(graph.PLAN_ACTIVE), observer.hear(graph.LEDGER)
        predictions = observer.hear(graph.PREDICTIONS_INBOX, graph.GROUND)
        # Nobody has published a time yet: the graph gets ready while the clock stands at 0.
        observer.until(lambda: plans, "a plan")
        assert (plans[0].header.stamp.sec, plans[0].header.stamp.nanosec) == (0, 0)
        images = observer.voice(graph.IMAGE_COMPRESSED)
        clock = observer.node.create_publisher(Clock, "/clock", 10)
        observer.until(lambda: clock.get_subscription_count() > 1, "listeners to the clock")
        played = []
        for message in read_messages(material.bag, {topic}):
            played.append(message.stamp_ns)
            clock.publish(Clock(clock=rclpy.time.Time(nanoseconds=message.stamp_ns).to_msg()))
            # A camera's topic is not reliable: one that was missed, as before discovery, is published again.
            before, heard = ledgers[-1].acquired_tiles, len(ledgers)
            while ledgers[-1].acquired_tiles == before:
                images.publish(message.cdr)
                observer.until(
                    lambda: ledgers[-1].acquired_tiles > before or len(ledgers) > heard + 2,  # noqa: B023
                    "sensing to report",
                )
                heard = len(ledgers)
        observer.until(lambda: ledgers[-1].delivered_tiles == material.bag_tiles, "all tiles to be delivered")
        assert sorted({f for p in predictions for f in p.envelope.frames}) == [*range(1, len(played) + 1)]
        # Everything says the time of the bag, also once its clock stands still.
        last = ledgers[-1].header.stamp
        assert played[0] <= last.sec * 10**9 + last.nanosec <= played[-1]
        flight.process.send_signal(signal.SIGINT)
        assert observer.until_ended() == 128 + signal.SIGINT, flight.story()
        assert "Traceback" not in flight.errors + flight.logs
