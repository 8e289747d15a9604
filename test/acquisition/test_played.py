"""When a bag that somebody else plays is over."""

import pytest

from satllm_ros.acquisition.played import GONE_S, PlayedStream


def test_a_stream_is_over_once_all_of_it_was_heard() -> None:
    stream = PlayedStream(3)
    assert not stream.is_over(2, 1, 0.0)
    assert stream.is_over(3, 1, 0.1)


def test_a_stream_whose_player_is_gone_is_over_after_a_while() -> None:
    stream = PlayedStream(500)
    assert not stream.is_over(464, 1, 0.0)
    assert not stream.is_over(464, 0, 1.0)
    assert not stream.is_over(464, 0, 1.0 + GONE_S / 2)
    assert stream.is_over(464, 0, 1.0 + GONE_S)


@pytest.mark.parametrize("now_s", [0.0, 1e6])
def test_a_player_that_has_not_come_yet_is_waited_for(now_s: float) -> None:
    assert not PlayedStream(5).is_over(0, 0, now_s)


def test_a_player_that_comes_back_goes_on() -> None:
    stream = PlayedStream(5)
    assert not stream.is_over(1, 1, 0.0)
    assert not stream.is_over(1, 0, 1.0)
    assert not stream.is_over(2, 1, 1.0 + GONE_S)
    assert not stream.is_over(2, 0, 2.0 + GONE_S)
    assert stream.is_over(2, 0, 2.0 + 2 * GONE_S)


def test_a_player_that_came_and_went_between_two_looks_is_gone() -> None:
    stream = PlayedStream(5)
    assert not stream.is_over(1, 0, 0.0)
    assert stream.is_over(1, 0, GONE_S)
