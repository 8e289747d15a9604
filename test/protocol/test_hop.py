"""What is lost on a hop is sent again there, within bounds; whatever receipts say."""

import random

import pytest

from satllm_ros.protocol.hop import HopLimits, HopReceiver, HopSender, Resend
from satllm_ros.protocol.identity import BatchId

LIMITS = HopLimits(copies=3, copies_bytes=1000, resends=2, first_wait_s=1.0, least_wait_s=0.2, deaf_after=2)


def batch(sequence: int, attempt: int = 0) -> BatchId:
    return BatchId(7, sequence, attempt)


def sender_of(*sequences: int, now_s: float = 0.0) -> HopSender[str]:
    sender: HopSender[str] = HopSender(LIMITS)
    for sequence in sequences:
        sender.offer("sat2", batch(sequence), f"message {sequence}", 100, now_s)
    return sender


def test_what_has_a_receipt_is_let_go_of_and_never_sent_again() -> None:
    sender = sender_of(0, 1)
    sender.receipt("sat2", batch(0), 100, 0.1)
    assert (sender.copies, sender.copies_bytes) == (1, 100)
    assert [resend.batch for resend in sender.tick(50.0)] == [batch(1)]


def test_what_has_none_is_sent_again_as_it_was_and_then_given_up() -> None:
    sender = sender_of(0)
    assert sender.next_due_s == 1.0 and sender.tick(0.99) == []
    assert sender.tick(1.0) == [Resend("sat2", batch(0), "message 0", 100)]
    # Each time it waits twice as long.
    assert sender.next_due_s == 3.0 and sender.tick(2.9) == []
    assert len(sender.tick(3.0)) == 1 and sender.next_due_s == 7.0
    assert sender.tick(7.0) == [] and sender.copies == 0 and sender.next_due_s is None
    assert sender.causes == {"resent": 2, "given_up": 1}


def test_a_message_is_not_overdue_while_it_and_those_before_it_are_on_the_wire() -> None:
    sender: HopSender[str] = HopSender(LIMITS)
    for sequence in range(2):
        # 4 s each at 200 bit/s, one after the other.
        sender.offer("sat2", batch(sequence), "slow", 100, 0.0, rate_bps=200.0)
    assert sender.next_due_s == 5.0
    # The first took longer than was thought: the second cannot have been there before.
    sender.receipt("sat2", batch(0), 100, 8.0)
    assert sender.tick(10.0) == [] and sender.next_due_s > 12.0


def test_a_long_link_is_given_its_time_before_a_round_trip_was_measured() -> None:
    sender: HopSender[str] = HopSender(LIMITS)
    sender.offer("sat2", batch(0), "far", 100, 0.0, propagation_s=3.0)
    assert sender.next_due_s == 7.0
    sender.receipt("sat2", batch(0), 100, 6.0)
    sender.offer("sat2", batch(1), "far", 100, 10.0, propagation_s=3.0)
    # What was measured has the way in it.
    assert sender.next_due_s == pytest.approx(10.0 + 6.0 + 4.0 * 3.0)
    sender.offer("sat3", batch(2), "near", 100, 20.0)
    sender.receipt("sat3", batch(2), 100, 20.01)
    # The link says that it has become longer.
    sender.offer("sat3", batch(3), "far", 100, 30.0, propagation_s=3.0)
    assert [copy.due_s for copy in sender._copies_of(batch(3))] == [36.0 + LIMITS.least_wait_s]


def test_a_link_that_has_become_longer_is_learnt() -> None:
    sender: HopSender[str] = HopSender(LIMITS)
    resent = 0
    for sequence in range(60):
        trip_s, at_s = (0.005, 0.3)[sequence >= 30], 10.0 * sequence
        sender.offer("sat2", batch(sequence), "message", 100, at_s)
        resends = sender.tick(at_s + trip_s)
        resent += len(resends)
        sender.receipt("sat2", batch(sequence), 100, at_s + trip_s)
    assert resent <= 3


def test_the_middleware_may_have_filled_up_what_arrives_to_a_multiple_of_four() -> None:
    sender: HopSender[str] = HopSender(LIMITS)
    for length in range(100, 104):
        sender.offer("sat2", batch(length), "message", length, 0.0)
        sender.receipt("sat2", batch(length), -(-length // 4) * 4, 0.1)
    assert sender.copies == 0 and not sender.causes
    sender.offer("sat2", batch(1), "message", 100, 0.0)
    sender.receipt("sat2", batch(1), 104, 0.1)
    assert sender.causes == {"false_receipt": 1}


def test_what_the_link_has_waiting_comes_before_what_is_offered_now() -> None:
    sender = sender_of()
    sender.busy("sat2", 30.0)
    sender.offer("sat2", batch(0), "message", 100, 1.0, rate_bps=800.0)
    assert sender.next_due_s == 32.0
    sender.busy("sat2", 5.0)
    sender.offer("sat2", batch(1), "message", 100, 1.0, rate_bps=800.0)
    assert sender.tick(32.9) == [Resend("sat2", batch(0), "message", 100)]


def test_the_wait_follows_the_round_trips_measured() -> None:
    sender: HopSender[str] = HopSender(LIMITS)
    for sequence in range(40):
        sender.offer("sat2", batch(sequence), "quick", 100, float(sequence))
        sender.receipt("sat2", batch(sequence), 100, sequence + 0.01)
    sender.offer("sat2", batch(40), "quick", 100, 50.0)
    assert sender.next_due_s == pytest.approx(50.0 + LIMITS.least_wait_s)
    for sequence in range(41, 90):
        sender.offer("sat3", batch(sequence), "far", 100, float(sequence))
        sender.receipt("sat3", batch(sequence), 100, sequence + 2.0)
    sender.settle("sat2", batch(40))
    sender.offer("sat3", batch(90), "far", 100, 100.0)
    assert sender.next_due_s == pytest.approx(102.0, abs=0.1) and sender.next_due_s > 102.0


def test_a_receipt_of_what_was_sent_twice_measures_nothing() -> None:
    sender = sender_of(0)
    sender.tick(1.0)
    sender.receipt("sat2", batch(0), 100, 1.001)
    sender.offer("sat2", batch(1), "next", 100, 2.0)
    assert sender.next_due_s == 2.0 + 2 * LIMITS.first_wait_s, "the wait stays doubled until one was measured"


def test_waits_grow_when_two_in_a_row_were_late_and_not_for_one_that_was_lost() -> None:
    sender: HopSender[str] = HopSender(LIMITS)
    sender.offer("sat2", batch(0), "measured", 100, 0.0)
    sender.receipt("sat2", batch(0), 100, 0.001)
    sender.offer("sat2", batch(1), "lost once", 100, 1.0)
    assert len(sender.tick(1.0 + LIMITS.least_wait_s)) == 1
    sender.receipt("sat2", batch(1), 100, 1.3)
    sender.offer("sat2", batch(2), "late", 100, 2.0)
    assert sender.next_due_s == pytest.approx(2.0 + LIMITS.least_wait_s)
    assert len(sender.tick(2.0 + LIMITS.least_wait_s)) == 1
    sender.receipt("sat2", batch(2), 100, 2.3)
    sender.offer("sat2", batch(3), "after two", 100, 3.0)
    assert sender.next_due_s == pytest.approx(3.0 + 2 * LIMITS.least_wait_s)


def test_copies_are_bounded_in_number_and_bytes_the_oldest_goes_first() -> None:
    sender = sender_of(0, 1, 2, 3)
    assert sender.copies == 3 and sender.causes["let_go"] == 1
    assert [resend.batch.sequence for resend in sender.tick(1.0)] == [1, 2, 3]
    sender.offer("sat2", batch(4), "big", 900, 1.0)
    assert sender.copies_bytes <= LIMITS.copies_bytes and sender.copies == 2
    sender.offer("sat2", batch(5), "bigger than all there is room for", 2000, 1.0)
    assert (sender.copies, sender.copies_bytes) == (0, 0)


def test_another_attempt_takes_the_place_of_the_one_before_whatever_its_way() -> None:
    sender = sender_of(0)
    sender.offer("sat3", batch(0, attempt=1), "anew", 100, 0.5)
    assert [(r.receiver, r.batch.attempt) for r in sender.tick(5.0)] == [("sat3", 1)]
    assert sender.causes["superseded"] == 1


def test_forged_doubled_and_late_receipts_are_counted_and_change_nothing() -> None:
    sender = sender_of(0)
    sender.receipt("nobody", batch(0), 100, 0.1)
    sender.receipt("sat2", BatchId(8, 0), 100, 0.1)
    sender.receipt("sat2", batch(0, attempt=1), 100, 0.1)
    sender.receipt("sat2", batch(0), 90, 0.1)
    assert sender.copies == 1 and sender.next_due_s == 1.0
    assert sender.causes == {"unknown_receipt": 3, "false_receipt": 1}
    sender.receipt("sat2", batch(0), 100, 0.2)
    sender.receipt("sat2", batch(0), 100, 0.2)
    assert sender.copies == 0 and sender.causes["unknown_receipt"] == 4


def test_a_receiver_that_sends_no_receipts_is_not_sent_everything_many_times() -> None:
    sender: HopSender[str] = HopSender(LIMITS)
    now_s, resent = 0.0, 0
    for sequence in range(20):
        sender.offer("sat2", batch(sequence), "one way", 100, now_s)
        while sender.next_due_s is not None:
            now_s = sender.next_due_s
            resent += len(sender.tick(now_s))
    assert resent == LIMITS.deaf_after * LIMITS.resends and sender.causes["deaf"] == 20 - LIMITS.deaf_after
    # The way back is there again.
    sender.offer("sat2", batch(20), "heard", 100, now_s)
    sender.receipt("sat2", batch(20), 100, now_s + 0.1)
    sender.offer("sat2", batch(21), "lost", 100, now_s + 1.0)
    assert len(sender.tick(now_s + 100.0)) == 1


def test_of_a_receiver_that_died_nothing_is_kept() -> None:
    sender = sender_of(0, 1)
    sender.offer("sat3", batch(2), "elsewhere", 100, 0.0)
    sender.forget("sat2")
    assert sender.copies == 1 and [r.receiver for r in sender.tick(9.0)] == ["sat3"]


def test_only_what_was_taken_on_is_a_duplicate_and_only_so_much_is_remembered() -> None:
    receiver = HopReceiver(remembered=2)
    # Refused: it may come again.
    assert not receiver.is_duplicate(batch(0)) and not receiver.is_duplicate(batch(0))
    for sequence in range(3):
        receiver.take(batch(sequence))
    assert receiver.is_duplicate(batch(2)) and not receiver.is_duplicate(batch(2, attempt=1))
    assert not receiver.is_duplicate(batch(0))


@pytest.mark.parametrize("seed", range(20))
def test_over_a_link_that_loses_doubles_and_forges_bounds_hold_and_all_ends(seed: int) -> None:
    draw = random.Random(seed)
    sender: HopSender[int] = HopSender(LIMITS)
    sends: dict[BatchId, int] = {}
    now_s = 0.0
    for _ in range(400):
        now_s += draw.expovariate(5.0)
        kind = draw.random()
        if kind < 0.3:
            name = batch(len(sends))
            sends[name] = 1
            sender.offer(draw.choice(("sat2", "sat3")), name, 0, draw.randint(1, 400), now_s, rate_bps=1e4)
        elif kind < 0.7 and sends:
            name = draw.choice([*sends, BatchId(9, 9), batch(draw.randint(0, 500))])
            sender.receipt(draw.choice(("sat2", "sat3", "")), name, draw.randint(1, 400), now_s)
        for resend in sender.tick(now_s):
            sends[resend.batch] += 1
        assert sender.copies <= LIMITS.copies and 0 <= sender.copies_bytes <= LIMITS.copies_bytes
    while sender.next_due_s is not None:
        now_s = max(now_s, sender.next_due_s)
        for resend in sender.tick(now_s):
            sends[resend.batch] += 1
    assert max(sends.values()) <= 1 + LIMITS.resends and sender.copies_bytes == 0
