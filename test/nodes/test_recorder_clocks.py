"""What a recorder makes of the clocks of other hosts: corrected, with its uncertainty, or left out."""

import time
from collections.abc import Iterator

import pytest
import rclpy
from rclpy.parameter import Parameter
from rclpy.time import Time

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.nodes.base.host_clock import host_clock
from satllm_ros.nodes.base.process import Stop
from satllm_ros.nodes.recorder import RecorderNode
from satllm_ros.nodes.recording.heard import Heard

ELSEWHERE = "bbbb-1"
# Sensing's clocks against this computer's: the steady one, and the wall clock.
STEADY_AHEAD_S, WALL_AHEAD_S = 1000.0, 77.0


@pytest.fixture
def recorder(context: rclpy.Context) -> Iterator[RecorderNode]:
    values = {"satellites": ["sat1"], "autostart": False}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    made = RecorderNode(lambda: None, Stop(), context=context, parameter_overrides=overrides)
    made.configure()
    yield made
    made.destroy_node()


def ledger(recorder: RecorderNode, clock: str) -> m.Ledger:
    message = m.Ledger(steady_s=time.monotonic() + STEADY_AHEAD_S, clock=clock)
    message.header.stamp = Time(seconds=recorder.now_s() + WALL_AHEAD_S).to_msg()
    return message


def heard(recorder: RecorderNode) -> Heard:
    return recorder._run.heard


def shift_s(recorder: RecorderNode, *, journal_is_here: bool) -> tuple[float, float] | None:
    return heard(recorder).clocks.acquisition_shift_s(heard(recorder).ledger, journal_is_here=journal_is_here)


def test_a_clock_that_was_compared_is_corrected_for(recorder: RecorderNode) -> None:
    recorder.offset_of = lambda host: (STEADY_AHEAD_S, 0.01) if host == graph.SENSING else None
    heard(recorder).on_ledger(ledger(recorder, ELSEWHERE))
    shift = shift_s(recorder, journal_is_here=False)
    assert shift is not None
    assert shift[0] == pytest.approx(-WALL_AHEAD_S, abs=0.5) and shift[1] == 0.01
    assert heard(recorder).run.clock_offsets == {ELSEWHERE: (STEADY_AHEAD_S, 0.01)}


def test_a_clock_that_nobody_compared_is_not_reckoned_with(recorder: RecorderNode) -> None:
    heard(recorder).on_ledger(ledger(recorder, ELSEWHERE))
    assert shift_s(recorder, journal_is_here=True) is None
    recorder.offset_of = lambda _: (STEADY_AHEAD_S, 0.01)
    broken = ledger(recorder, ELSEWHERE)
    broken.steady_s = float("nan")
    heard(recorder).on_ledger(broken)
    assert shift_s(recorder, journal_is_here=True) is None


def test_on_one_computer_nothing_is_corrected(recorder: RecorderNode) -> None:
    assert shift_s(recorder, journal_is_here=True) == (0.0, 0.0)
    assert shift_s(recorder, journal_is_here=False) is None, "who was never heard may be anywhere"
    heard(recorder).on_ledger(ledger(recorder, host_clock().partition("-")[0] + "-7"))
    assert shift_s(recorder, journal_is_here=False) == (0.0, 0.0)


def test_under_simulated_time_all_have_one_wall_clock(recorder: RecorderNode) -> None:
    heard(recorder).on_ledger(ledger(recorder, ELSEWHERE))
    recorder.set_parameters([Parameter("use_sim_time", value=True)])
    assert shift_s(recorder, journal_is_here=False) == (0.0, 0.0)


def test_a_clock_by_a_name_that_none_has_is_counted(recorder: RecorderNode) -> None:
    heard(recorder).on_ledger(ledger(recorder, "no clock"))
    assert recorder.counters["malformed_ledger"] == 1


def test_a_host_that_started_anew_does_not_change_what_is_known_of_its_old_clock(recorder: RecorderNode) -> None:
    recorder.offset_of = lambda _: (STEADY_AHEAD_S, 0.01)
    heard(recorder).on_ledger(ledger(recorder, ELSEWHERE))
    recorder.offset_of = lambda _: (-50_000.0, 0.01)
    heard(recorder).on_ledger(ledger(recorder, ELSEWHERE))
    assert heard(recorder).run.clock_offsets == {ELSEWHERE: (STEADY_AHEAD_S, 0.01)}
    heard(recorder).on_ledger(ledger(recorder, "cccc-1"))
    assert heard(recorder).run.clock_offsets["cccc-1"] == (-50_000.0, 0.01)


def test_clocks_that_somebody_makes_up_are_bounded(recorder: RecorderNode) -> None:
    recorder.offset_of = lambda _: (STEADY_AHEAD_S, 0.01)
    for number in range(100):
        heard(recorder).on_ledger(ledger(recorder, f"bbbb-{number}"))
    assert len(heard(recorder).run.clock_offsets) == 64
