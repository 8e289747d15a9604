"""Batches go to the middleware as the link takes them: two inside at most, the next when the last is in or due."""

import math

import pytest

from satllm_ros.interfaces import MAX_CREDITS
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.links.real_links import LONG_HEARTBEAT_S, LONG_S, goodput_bps
from satllm_ros.protocol.identity import BatchId
from satllm_ros.protocol.pacing import MOST_INSIDE, PATIENCE_S, ROUNDS, Hand, Pacing

RATE_BPS = 8e6
SIZE = 1_000_000
# Seconds one batch of SIZE takes.
TIME_S = 8 * SIZE / goodput_bps(RATE_BPS, 0.0)


@pytest.fixture
def pacing() -> Pacing[str]:
    return Pacing({"sat1": LinkRates(RATE_BPS), "sat2": LinkRates(RATE_BPS)})


def batch(sequence: int, attempt: int = 0) -> BatchId:
    return BatchId(7, sequence, attempt)


def send(pacing: Pacing[str], sequence: int, now_s: float, to: str = "sat1", attempt: int = 0) -> list[str]:
    return texts(pacing.on_send(to, batch(sequence, attempt), f"{sequence}.{attempt}", SIZE, now_s))


def texts(hands: list[Hand[str]]) -> list[str]:
    return [hand.message for hand in hands]


def test_the_first_goes_at_once_and_the_next_when_its_time_is_over(pacing: Pacing[str]) -> None:
    assert send(pacing, 0, 10.0) == ["0.0"]
    assert send(pacing, 1, 10.0) == []
    assert pacing.next_s == pytest.approx(10.0 + TIME_S)
    assert pacing.on_tick(10.0 + 0.99 * TIME_S) == []
    assert texts(pacing.on_tick(10.0 + 1.01 * TIME_S)) == ["1.0"]
    assert math.isinf(pacing.next_s)


def test_the_next_goes_when_the_last_is_received(pacing: Pacing[str]) -> None:
    send(pacing, 0, 0.0)
    send(pacing, 1, 0.0)
    assert texts(pacing.on_received("sat1", batch(0), 0.5 * TIME_S)) == ["1.0"]


def test_one_destination_does_not_wait_for_another(pacing: Pacing[str]) -> None:
    assert send(pacing, 0, 0.0) == ["0.0"]
    assert send(pacing, 1, 0.0, "sat2") == ["1.0"]


def test_no_more_than_two_are_inside_of_a_link_that_tells_and_is_slower_than_it_said(pacing: Pacing[str]) -> None:
    for sequence in range(5):
        send(pacing, sequence, 0.0)
    handed = texts(pacing.on_received("sat1", batch(0), TIME_S))
    for step in range(1, 400):
        handed += texts(pacing.on_tick(TIME_S + step * 0.01))
    # Batch 0 was heard; of the others nobody says anything for four seconds, longer than two of them take.
    assert handed == ["1.0", "2.0"] and len(handed) == MOST_INSIDE
    assert texts(pacing.on_received("sat1", batch(1), 6.0)) == ["3.0"]


def test_what_is_never_received_holds_the_link_for_a_while_only(pacing: Pacing[str]) -> None:
    for sequence in range(4):
        send(pacing, sequence, 0.0)
    pacing.on_received("sat1", batch(0), TIME_S)
    pacing.on_tick(2.1 * TIME_S)
    assert pacing.waiting_batches == 1
    assert texts(pacing.on_tick(3.1 * TIME_S + PATIENCE_S)) == ["3.0"]
    assert pacing.counts["reception_unheard"] > 0


def test_where_nobody_tells_of_receptions_time_alone_tells(pacing: Pacing[str]) -> None:
    for sequence in range(4):
        send(pacing, sequence, 0.0)
    assert [texts(pacing.on_tick(k * 1.001 * TIME_S)) for k in (1, 2, 3)] == [["1.0"], ["2.0"], ["3.0"]]


def test_on_a_long_link_as_many_are_inside_as_leave_while_what_was_lost_is_sent_again() -> None:
    pacing: Pacing[str] = Pacing({"sat1": LinkRates(RATE_BPS, LONG_S)})
    time_s = 8 * SIZE / goodput_bps(RATE_BPS, LONG_S)
    assert time_s == pytest.approx(1.05 * TIME_S), "there is room for what is sent again"
    for sequence in range(40):
        send(pacing, sequence, 0.0)
    pacing.on_received("sat1", batch(0), time_s)
    most = MOST_INSIDE + math.ceil(ROUNDS * (LONG_HEARTBEAT_S + 2 * LONG_S) / time_s)
    for step in range(1, most + 3):
        pacing.on_tick((1 + 1.001 * step) * time_s)
    # The first of them was received, so that one more has left.
    assert 40 - pacing.waiting_batches == 1 + most > 1 + MOST_INSIDE


def test_a_newer_copy_takes_the_place_of_what_waits(pacing: Pacing[str]) -> None:
    send(pacing, 0, 0.0)
    send(pacing, 1, 0.0)
    assert send(pacing, 1, 1.0, attempt=1) == []
    assert pacing.waiting_batches == 1
    assert texts(pacing.on_received("sat1", batch(0), 1.1)) == ["1.1"]


def test_a_second_copy_of_what_is_on_its_way_is_not_sent(pacing: Pacing[str]) -> None:
    send(pacing, 0, 0.0)
    assert send(pacing, 0, 0.1) == [] and pacing.waiting_batches == 0
    assert pacing.counts["sent_already"] == 1


def test_what_is_settled_is_not_sent_whatever_its_attempt(pacing: Pacing[str]) -> None:
    for sequence in range(3):
        send(pacing, sequence, 0.0)
    assert pacing.on_settled("sat1", BatchId(7, 1, 3), 0.1) == [] and pacing.waiting_batches == 1
    assert texts(pacing.on_settled("sat1", batch(0), 0.2)) == ["2.0"]


def test_what_waits_is_bounded_and_dropped_with_a_count(pacing: Pacing[str]) -> None:
    for sequence in range(MAX_CREDITS + 3):
        send(pacing, sequence, 0.0)
    assert pacing.waiting_batches == MAX_CREDITS
    assert pacing.counts["unsent_dropped"] == 2


def test_what_waits_for_who_is_gone_is_dropped(pacing: Pacing[str]) -> None:
    send(pacing, 0, 0.0)
    send(pacing, 1, 0.0)
    pacing.on_gone("sat1")
    assert pacing.on_tick(1e3) == []
    assert send(pacing, 2, 1.0) == ["2.0"]


def test_the_rate_in_force_sets_the_pace_and_more_than_a_fifth_off_is_a_caution(pacing: Pacing[str]) -> None:
    assert pacing.cautions() == []
    pacing.on_rate("sat1", 0.85 * RATE_BPS, 0.0)
    assert pacing.cautions() == []
    pacing.on_rate("sat1", 2e6, 0.0)
    (said,) = pacing.cautions()
    assert "link to sat1 carries 2 Mbit/s" in said and "made for 8" in said and "constellation file" in said
    send(pacing, 0, 0.0)
    send(pacing, 1, 0.0)
    assert pacing.next_s == pytest.approx(8 * SIZE / goodput_bps(2e6, 0.0))
    pacing.on_rate("sat1", 16e6, 0.0)
    assert "carries 16 Mbit/s" in pacing.cautions()[0]


@pytest.mark.parametrize("rate_bps", [0.0, -1.0, 1e-4, 1e16, math.nan, math.inf])
def test_a_rate_that_is_none_changes_nothing(pacing: Pacing[str], rate_bps: float) -> None:
    pacing.on_rate("sat1", rate_bps, 0.0)
    assert pacing.counts["malformed_rate"] == 1 and pacing.cautions() == []


def test_words_about_others_change_nothing(pacing: Pacing[str]) -> None:
    send(pacing, 0, 0.0)
    send(pacing, 1, 0.0)
    assert pacing.on_received("ground", batch(0), 0.0) == []
    assert pacing.on_received("sat2", batch(0), 0.0) == []
    assert pacing.on_received("sat1", batch(1), 0.0) == []
    assert pacing.on_rate("ground", 1e6, 0.0) == []
