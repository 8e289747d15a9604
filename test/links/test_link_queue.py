"""All times and rates are powers of two, so that virtual time is exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.links.link_queue import LinkQueue, LinkRates, Transfer

# A byte takes 1/8 s.
SLOW = LinkRates(rate_bps=64.0, propagation_s=0.25)


def crossed(queue: LinkQueue[str], now_s: float) -> list[tuple[str, float, float]]:
    return [(t.message, t.start_s, t.stop_s) for t in queue.due(now_s)]


def test_a_message_takes_its_length_over_the_rate_and_then_the_propagation_delay() -> None:
    queue: LinkQueue[str] = LinkQueue(SLOW, 4)
    assert queue.offer("a", 16, 10.0)
    assert queue.next_arrival_s == 12.25
    assert crossed(queue, 12.2) == []
    assert crossed(queue, 12.25) == [("a", 10.0, 12.25)]
    assert queue.next_arrival_s is None


def test_the_next_message_starts_when_the_wire_is_free_not_when_the_last_arrives() -> None:
    queue: LinkQueue[str] = LinkQueue(SLOW, 4)
    queue.offer("a", 16, 0.0)
    queue.offer("b", 8, 0.5)
    queue.offer("c", 8, 5.0)
    assert crossed(queue, 100.0) == [("a", 0.0, 2.25), ("b", 2.0, 3.25), ("c", 5.0, 6.25)]


def test_overflow_refuses_the_newest() -> None:
    queue: LinkQueue[str] = LinkQueue(SLOW, 2)
    assert [queue.offer(name, 8, 0.0) for name in "abc"] == [True, True, False]
    assert (queue.queued_messages, queue.queued_bytes) == (2, 16)
    assert [name for name, _, _ in crossed(queue, 1.25)] == ["a"]
    assert queue.offer("d", 8, 1.25)
    assert [name for name, _, _ in crossed(queue, 100.0)] == ["b", "d"]


def test_a_new_rate_holds_for_what_waits_not_for_what_is_on_the_wire() -> None:
    queue: LinkQueue[str] = LinkQueue(SLOW, 4)
    for name in "abc":
        queue.offer(name, 16, 0.0)
    queue.set_rates(LinkRates(128.0, 0.25), 1.0)
    assert crossed(queue, 100.0) == [("a", 0.0, 2.25), ("b", 2.0, 3.25), ("c", 3.0, 4.25)]


def test_a_message_that_starts_at_the_moment_of_the_change_is_on_the_wire() -> None:
    queue: LinkQueue[str] = LinkQueue(SLOW, 4)
    for name in "ab":
        queue.offer(name, 16, 0.0)
    queue.set_rates(LinkRates(128.0, 0.25), 2.0)
    assert crossed(queue, 100.0) == [("a", 0.0, 2.25), ("b", 2.0, 4.25)]


@pytest.mark.parametrize("delay_s", [0.0, 4.0])
def test_a_new_delay_does_not_change_when_the_wire_falls_free(delay_s: float) -> None:
    queue: LinkQueue[str] = LinkQueue(LinkRates(64.0, 1.0), 4)
    for name in "ab":
        queue.offer(name, 16, 0.0)
    queue.set_rates(LinkRates(64.0, delay_s), 1.0)
    queue.offer("c", 16, 1.0)
    starts = [(name, start_s) for name, start_s, _ in crossed(queue, 100.0)]
    assert starts == [("a", 0.0), ("b", 2.0), ("c", 4.0)]


def test_no_message_overtakes_another_when_the_delay_is_shortened() -> None:
    queue: LinkQueue[str] = LinkQueue(LinkRates(64.0, 8.0), 4)
    queue.offer("a", 8, 0.0)
    queue.set_rates(LinkRates(64.0, 0.0), 1.0)
    queue.offer("b", 8, 1.0)
    assert crossed(queue, 8.5) == []
    assert crossed(queue, 9.0) == [("a", 0.0, 9.0), ("b", 1.0, 9.0)]


def test_a_rate_set_on_an_idle_link_holds_for_the_next_message() -> None:
    queue: LinkQueue[str] = LinkQueue(SLOW, 4)
    queue.set_rates(LinkRates(8.0, 0.0), 3.0)
    queue.offer("a", 1, 4.0)
    assert crossed(queue, 5.0) == [("a", 4.0, 5.0)]


offers = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 64)), max_size=25)
changes = st.lists(st.tuples(st.integers(0, 400), st.sampled_from([8, 64, 512]), st.integers(0, 16)), max_size=4)


def reference(
    depth: int, offered: list[tuple[float, int]], rates: list[tuple[float, LinkRates]]
) -> list[Transfer[int]]:
    """Wire and pipe, worked out one message after the other: the rate that counts is the one at its start."""
    done: list[Transfer[int]] = []
    free_s = 0.0
    for number, (offered_s, length) in enumerate(offered):
        if sum(t.stop_s > offered_s for t in done) >= depth:
            continue
        start_s = max(offered_s, free_s)
        rate = [r for since_s, r in rates if since_s < start_s][-1]
        free_s = start_s + 8 * length / rate.rate_bps
        stop_s = max([free_s + rate.propagation_s, *(t.stop_s for t in done)])
        done.append(Transfer(number, length, start_s, stop_s))
    return done


@given(depth=st.integers(1, 6), offered=offers, changed=changes)
def test_like_a_simple_reference(
    depth: int, offered: list[tuple[int, int]], changed: list[tuple[int, int, int]]
) -> None:
    # Offers at whole seconds, changes in between: at no moment do two things happen in an order left open.
    offered_s = sorted((float(time), length) for time, length in offered)
    rates = sorted(((time + 1 / 64, LinkRates(bps, delay / 4)) for time, bps, delay in changed), key=lambda c: c[0])
    queue: LinkQueue[int] = LinkQueue(SLOW, depth)
    arrived: list[Transfer[int]] = []
    events = [(time, number, length) for number, (time, length) in enumerate(offered_s)]
    for time, what, value in sorted([*events, *((t, -1, r) for t, r in rates)], key=lambda event: event[:2]):
        arrived += queue.due(time)
        if what < 0:
            queue.set_rates(value, time)
        else:
            queue.offer(what, value, time)
    arrived += queue.due(1e9)
    assert arrived == reference(depth, offered_s, [(-1.0, SLOW), *rates])
    assert (queue.queued_messages, queue.queued_bytes) == (0, 0)


def test_an_outage_loses_what_is_on_the_wire_and_keeps_what_waits() -> None:
    queue: LinkQueue[str] = LinkQueue(SLOW, 4)
    for name in "abc":
        queue.offer(name, 16, 0.0)
    # At 2.125 s a's last bit is under way and b's first is out.
    assert queue.set_up(False, 2.125) == 2
    assert (queue.queued_messages, queue.next_arrival_s) == (1, None)
    assert queue.offer("d", 16, 3.0) and crossed(queue, 100.0) == []
    assert queue.set_up(True, 100.0) == 0
    assert crossed(queue, 200.0) == [("c", 100.0, 102.25), ("d", 102.0, 104.25)]


def test_an_outage_does_not_take_back_what_has_arrived() -> None:
    queue: LinkQueue[str] = LinkQueue(SLOW, 4)
    for name in "ab":
        queue.offer(name, 16, 0.0)
    assert queue.set_up(False, 2.25) == 1
    assert crossed(queue, 2.25) == [("a", 0.0, 2.25)]


def test_a_link_that_is_down_refuses_the_newest_when_full() -> None:
    queue: LinkQueue[str] = LinkQueue(SLOW, 2)
    queue.set_up(False, 0.0)
    assert [queue.offer(name, 8, 1.0) for name in "abc"] == [True, True, False]
    queue.set_up(True, 2.0)
    assert [name for name, _, _ in crossed(queue, 100.0)] == ["a", "b"]


def test_a_rate_set_during_an_outage_holds_after_it() -> None:
    queue: LinkQueue[str] = LinkQueue(SLOW, 4)
    queue.set_up(False, 0.0)
    queue.offer("a", 16, 0.0)
    queue.set_rates(LinkRates(128.0, 0.25), 1.0)
    assert queue.next_arrival_s is None
    queue.set_up(True, 4.0)
    assert crossed(queue, 100.0) == [("a", 4.0, 5.25)]


@pytest.mark.parametrize("up", [True, False])
def test_saying_again_that_it_is_up_or_down_changes_nothing(up: bool) -> None:
    queue: LinkQueue[str] = LinkQueue(SLOW, 4)
    queue.set_up(up, 0.0)
    queue.offer("a", 16, 0.0)
    assert queue.set_up(up, 1.0) == 0
    assert queue.queued_messages == 1
