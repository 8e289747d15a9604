"""Flights that are stopped or lose a process: nothing outlives them, and their exit code says how they ended."""

import signal
from pathlib import Path

from flight import constellation, started, up, write_constellation
from observer import Observer
from tiny_material import ACCURACY, Material

from satllm_ros import interfaces as graph


def test_terminated_while_it_starts(material: Material, tmp_path: Path) -> None:
    config = write_constellation(tmp_path, constellation(material, (0.1, 0.1)))
    with started(up(config), tmp_path) as flight:
        with Observer(flight) as observer:
            observer.until(lambda: "/sat2/stage" in observer.diagnostics, "the last satellite to start")
            flight.process.terminate()
            assert observer.until_ended() == 128 + signal.SIGTERM, flight.story()
        assert flight.left_behind() == ([], [])
        assert "Traceback" not in flight.errors + flight.logs


def test_graph_ends_with_the_ground(material: Material, tmp_path: Path) -> None:
    config = write_constellation(tmp_path, constellation(material, (0.1,)))
    with started(up(config), tmp_path) as flight:
        with Observer(flight) as observer:
            observer.until(lambda: "/ground" in observer.diagnostics, "the ground to start")
            flight.kill_one("satllm_ros/ground")
            assert observer.until_ended() == 1, flight.story()
        assert flight.pids() == []


def test_nothing_outlives_a_program_that_is_killed(material: Material, tmp_path: Path) -> None:
    config = write_constellation(tmp_path, constellation(material, (0.1, 0.1)))
    with started(up(config), tmp_path) as flight, Observer(flight) as observer:
        every = {"/sat1/stage", "/sat2/downlink", "/link", "/planner", "/ground", "/sensing"}
        observer.until(lambda: observer.diagnostics.keys() >= every, "every process to start")
        assert len(flight.pids()) == 7
        flight.process.kill()
        observer.until(lambda: not flight.pids(), "the end of its processes", graph_may_end=True)


def test_sensing_that_is_killed_ends_the_flight_and_is_named(material: Material, tmp_path: Path) -> None:
    config = write_constellation(tmp_path, constellation(material, (0.1, 0.1)))
    with started(up(config), tmp_path) as flight:
        with Observer(flight) as observer:
            observer.until(lambda: "/sensing" in observer.diagnostics, "sensing to start")
        flight.kill_one("satllm_ros/sensing")
        assert flight.wait() == 1, flight.story()
        assert "sensing ended early with signal SIGKILL" in flight.errors
        assert flight.pids() == [] and flight.segments_left() == []


def test_a_satellite_that_is_killed_is_named_and_the_others_go_on(material: Material, tmp_path: Path) -> None:
    floor = (ACCURACY["int8"] + ACCURACY["raw"]) / 2
    config = write_constellation(tmp_path, constellation(material, (0.1, 0.1), accuracy_floor=floor))
    with started(up(config), tmp_path) as flight:
        with Observer(flight) as observer:
            predictions = observer.hear(graph.PREDICTIONS_INBOX, graph.GROUND)
            plans, statuses = observer.hear(graph.PLAN_ACTIVE), observer.hear(graph.STATUS, "sat1")
            observer.until(lambda: plans, "a plan")
            # The plan keeps to the floor, and so must an operator.
            assert plans[0].stages[0].setting.codec == plans[0].stages[0].setting.CODEC_RAW
            refused = observer.set_parameter("sat1/compression", "codec", "int8")
            assert not refused.successful and f"at least {floor:.4f}" in refused.reason
            assert observer.set_parameter("sat1/compression", "codec", "raw").successful
            observer.until(lambda: statuses[-1].setting_pinned, "the pinned setting in the status")
            observer.until(lambda: predictions, "the first predictions")
            flight.kill_one("satllm_ros/satellite", "__ns:=/sat2")
            observer.until(
                lambda: "sat2 died (signal SIGKILL): the others go on without it" in flight.errors, "its death in words"
            )
            statuses.clear()
            observer.until(lambda: statuses, "the other satellite, alive")
        flight.kill_one("satllm_ros/satellite", "__ns:=/sat1")
        assert flight.wait() == 1, flight.story()
        assert "no satellite is left" in flight.errors
        assert flight.pids() == [] and flight.segments_left() == []
        assert "INCOMPLETE" in flight.output
