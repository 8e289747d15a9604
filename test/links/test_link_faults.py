"""All times are powers of two, so that virtual time is exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.links.link_faults import LATEST_MESSAGE_TIMES, FaultShares, FaultyLink
from satllm_ros.links.link_queue import LinkRates

# A byte takes 1/8 s.
RATES = LinkRates(rate_bps=64.0, propagation_s=0.0)
MESSAGES = 400
MESSAGE_S = 1.0


def link(shares: FaultShares, seed: str = "1", depth: int = MESSAGES) -> FaultyLink[int]:
    made: FaultyLink[int] = FaultyLink(RATES, depth, seed)
    made.shares = shares
    return made


def carried(shares: FaultShares, seed: str = "1", messages: int = MESSAGES) -> tuple[FaultyLink[int], list[int]]:
    """What arrives of messages sent back to back, in the order of arrival."""
    made = link(shares, seed)
    for number in range(messages):
        assert made.offer(number, 8, 0.0)
    return made, [arrival.transfer.message for arrival in made.due(1e9)]


def test_without_faults_all_arrive_in_order() -> None:
    made, arrived = carried(FaultShares())
    assert arrived == list(range(MESSAGES))
    assert made.dropped_messages == 0 and not +made.counts


def test_all_are_lost_when_the_share_is_one() -> None:
    made, arrived = carried(FaultShares(loss=1.0))
    assert arrived == [] and made.counts["lost"] == made.dropped_messages == MESSAGES


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_share_is_lost_and_counted(share: float) -> None:
    made, arrived = carried(FaultShares(loss=share))
    assert len(arrived) + made.counts["lost"] == MESSAGES
    # Six standard deviations, for one fixed seed.
    assert abs(made.counts["lost"] - share * MESSAGES) <= 6 * (share * (1 - share) * MESSAGES) ** 0.5
    assert arrived == sorted(arrived)


def test_a_duplicate_comes_later_and_only_one_of_the_two_is_the_first() -> None:
    made = link(FaultShares(duplicate=1.0))
    made.offer(7, 8, 0.0)
    first, second = made.due(1e9)
    assert (first.first, second.first) == (True, False)
    assert first.transfer.stop_s == MESSAGE_S
    late_s = second.transfer.stop_s - first.transfer.stop_s
    assert MESSAGE_S <= late_s <= LATEST_MESSAGE_TIMES * MESSAGE_S
    assert made.counts["duplicated"] == 1 and made.dropped_messages == 0


def test_those_held_back_are_overtaken_and_none_is_lost() -> None:
    made, arrived = carried(FaultShares(reorder=0.25))
    assert sorted(arrived) == list(range(MESSAGES))
    overtaken = [m for place, m in enumerate(arrived) if any(later < m for later in arrived[place + 1 :])]
    assert overtaken and made.counts["held_back"] > 0
    assert max(m - place for place, m in enumerate(arrived)) <= LATEST_MESSAGE_TIMES


def test_the_same_seed_hits_the_same_messages_and_another_does_not() -> None:
    shares = FaultShares(0.2, 0.2, 0.2)
    assert carried(shares, "5")[1] == carried(shares, "5")[1] != carried(shares, "6")[1]


def test_one_share_leaves_the_messages_hit_by_another_alone() -> None:
    lost = set(range(MESSAGES)) - set(carried(FaultShares(loss=0.3))[1])
    assert lost == set(range(MESSAGES)) - set(carried(FaultShares(loss=0.3, duplicate=0.5, reorder=0.5))[1])


def test_an_outage_loses_what_is_on_the_wire_or_held_back_once() -> None:
    made = link(FaultShares(duplicate=1.0, reorder=1.0))
    for number in range(3):
        made.offer(number, 8, 0.0)
    # 0 has crossed and is held back, twice; 1 is on the wire; 2 waits.
    assert made.due(1.0) == []
    assert made.set_up(False, 1.5)
    assert made.counts["lost_in_outage"] == made.dropped_messages == 2
    assert made.next_arrival_s is None and made.due(1e6) == []
    made.shares = FaultShares()
    assert made.set_up(True, 1e6)
    assert [a.transfer.message for a in made.due(1e9)] == [2]


def test_an_outage_does_not_take_back_what_nobody_fetched_yet() -> None:
    made = link(FaultShares())
    made.offer(0, 8, 0.0)
    made.offer(1, 8, 0.0)
    made.set_up(False, 1.0)
    assert [a.transfer.message for a in made.due(1.0)] == [0]


def test_a_full_queue_refuses_and_counts() -> None:
    made = link(FaultShares(), depth=1)
    assert [made.offer(number, 8, 0.0) for number in range(3)] == [True, False, False]
    assert made.counts["queue_full"] == made.dropped_messages == 2


shares = st.builds(FaultShares, *[st.sampled_from([0.0, 0.25, 1.0])] * 3)


@given(
    shares=shares,
    seed=st.text(max_size=3),
    sent=st.lists(st.integers(0, 60), max_size=30),
    turns=st.lists(st.integers(0, 60), max_size=5),
)
def test_every_message_arrives_or_is_counted(shares: FaultShares, seed: str, sent: list[int], turns: list[int]) -> None:
    made = link(shares, seed, depth=4)
    arrived = []
    # Offers at whole seconds, turns in between.
    events = [(float(t), n) for n, t in enumerate(sorted(sent))] + [(t + 1 / 64, -1) for t in turns]
    for now_s, number in sorted(events):
        arrived += made.due(now_s)
        if number < 0:
            made.set_up(not made.up, now_s)
        else:
            made.offer(number, 8, now_s)
        assert made.next_arrival_s is None or made.next_arrival_s > now_s
    made.set_up(True, 1e6)
    arrived += made.due(1e9)
    firsts = [a.transfer.message for a in arrived if a.first]
    assert len(set(firsts)) == len(firsts) == len(sent) - made.dropped_messages
    times = [a.transfer.stop_s for a in arrived]
    assert times == sorted(times)
    assert made.queued_messages == 0 and made.next_arrival_s is None
