import copy

import pytest

from satllm_ros.protocol.custody import Custody, CustodyLimits, State
from satllm_ros.protocol.identity import BatchId, Epoch
from satllm_ros.protocol.vocabulary import Cause, Verdict

BOOT = 77
EPOCH = Epoch(1, 1)
STALL_S, DELIVERY_S, BACKOFF_S = 20.0, 60.0, 0.5


def make_custody(*, window: int = 3, copies: int = 100, attempts: int = 50, batches: int = 0) -> Custody[str]:
    limits = CustodyLimits(window, copies, STALL_S, BACKOFF_S, attempts, DELIVERY_S)
    custody: Custody[str] = Custody(BOOT, limits)
    for number in range(batches):
        custody.accept(f"tiles of {number}", 10)
    return custody


def sent(custody: Custody[str], now_s: float = 0.0, epoch: Epoch = EPOCH) -> list[tuple[int, int]]:
    """(sequence, attempt) of what is sent now."""
    return [(send.batch.sequence, send.batch.attempt) for send in custody.sendable(epoch, now_s)]


def sent_after(custody: Custody[str], now_s: float) -> bool:
    """Whether something would be sent then, without sending it."""
    return bool(copy.deepcopy(custody).sendable(EPOCH, now_s))


def ack(custody: Custody[str], sequence: int, verdict: Verdict, now_s: float = 0.0, attempt: int = 0) -> None:
    cause = Cause.FULL if verdict is Verdict.REFUSED else Cause.NONE
    custody.on_ack(BatchId(BOOT, sequence, attempt), verdict, cause, now_s)


def test_the_oldest_are_sent_first_and_only_as_many_as_the_window_takes() -> None:
    custody = make_custody(window=2, batches=4)
    assert sent(custody) == [(0, 0), (1, 0)]
    assert sent(custody) == []
    ack(custody, 1, Verdict.STORED)
    assert sent(custody) == [(2, 0)]


def test_a_send_carries_what_was_accepted() -> None:
    custody = make_custody(batches=2)
    assert [send.payload for send in custody.sendable(EPOCH, 0.0)] == ["tiles of 0", "tiles of 1"]


def test_copies_are_bounded_until_the_ground_has_them() -> None:
    custody = make_custody(copies=2, batches=2)
    sent(custody)
    ack(custody, 0, Verdict.STORED)
    assert not custody.has_room
    with pytest.raises(RuntimeError, match="2 of 2"):
        custody.accept("one more", 10)
    ack(custody, 0, Verdict.DELIVERED)
    assert custody.has_room


def test_what_the_store_held_is_taken_up_room_or_not() -> None:
    custody = make_custody(copies=2)
    for number in range(3):
        custody.restore(f"tiles of {number}", 10)
    assert not custody.has_room and custody.tally().accepted == 30
    sent(custody)
    ack(custody, 0, Verdict.DELIVERED)
    assert not custody.has_room
    ack(custody, 1, Verdict.DELIVERED)
    assert custody.has_room


def test_a_refused_batch_is_sent_again_after_a_growing_pause() -> None:
    custody = make_custody(batches=1)
    now_s, pauses = 0.0, []
    for attempt in range(7):
        assert sent(custody, now_s) == [(0, attempt)]
        ack(custody, 0, Verdict.REFUSED, now_s, attempt)
        pause_s = next(p for p in (BACKOFF_S * 2**k for k in range(10)) if sent_after(custody, now_s + p))
        assert not sent(custody, now_s + 0.999 * pause_s)
        pauses.append(pause_s)
        now_s += pause_s
    assert pauses == [BACKOFF_S * factor for factor in (1, 2, 4, 8, 16, 16, 16)]
    assert custody.causes["refused_full"] == 7


def test_a_late_refusal_of_an_earlier_attempt_changes_nothing() -> None:
    custody = make_custody(batches=1)
    sent(custody)
    ack(custody, 0, Verdict.REFUSED, attempt=0)
    assert sent(custody, 1.0) == [(0, 1)]
    before = custody.tally()
    ack(custody, 0, Verdict.REFUSED, 1.0, attempt=0)
    assert custody.tally() == before
    assert sent(custody, 100.0) == []


def test_an_earlier_attempt_that_comes_through_counts() -> None:
    custody = make_custody(batches=1)
    sent(custody)
    ack(custody, 0, Verdict.REFUSED)
    ack(custody, 0, Verdict.STORED)
    assert custody.tally().stored == 10
    assert sent(custody, 100.0) == []


@pytest.mark.parametrize(
    ("batch", "cause"),
    [
        (BatchId(BOOT + 1, 0, 0), "foreign_ack"),
        (BatchId(BOOT, 9, 0), "foreign_ack"),
        (BatchId(BOOT, 0, 1), "foreign_ack"),
        (BatchId(BOOT, 2, 0), "foreign_ack"),
        (BatchId(BOOT, 1, 0), "late_ack"),
    ],
    ids=["other life", "never accepted", "attempt never sent", "never sent", "already delivered"],
)
@pytest.mark.parametrize("verdict", list(Verdict))
def test_acknowledgements_of_nothing_in_custody_only_count(batch: BatchId, cause: str, verdict: Verdict) -> None:
    custody = make_custody(window=2, batches=3)
    sent(custody)
    ack(custody, 1, Verdict.DELIVERED)
    before = custody.tally()
    custody.on_ack(batch, verdict, Cause.NONE, 5.0)
    assert custody.tally() == before
    assert custody.causes == {cause: 1}
    custody.on_tick(STALL_S + 1)
    assert custody.causes["stalled"] == 1, "a stray acknowledgement must not pass for progress"


def test_a_batch_lost_in_silence_is_noticed_by_a_window_of_batches_that_overtake_it() -> None:
    custody = make_custody(window=3, batches=9)
    assert sent(custody) == [(0, 0), (1, 0), (2, 0)]
    for sequence in (1, 2):
        ack(custody, sequence, Verdict.STORED)
        ack(custody, sequence, Verdict.DELIVERED)
    custody.on_tick(0.0)
    assert custody.causes["overtaken"] == 0
    assert sent(custody) == [(3, 0), (4, 0)]
    ack(custody, 3, Verdict.STORED)
    custody.on_tick(0.0)
    assert custody.causes["overtaken"] == 1
    assert sent(custody, BACKOFF_S)[0] == (0, 1)


def test_a_repeated_acknowledgement_overtakes_nothing() -> None:
    custody = make_custody(window=3, batches=3)
    sent(custody)
    for _ in range(10):
        ack(custody, 2, Verdict.STORED)
    custody.on_tick(0.0)
    assert custody.causes["overtaken"] == 0


def test_a_repeated_acknowledgement_is_no_progress() -> None:
    custody = make_custody(batches=2)
    sent(custody)
    ack(custody, 0, Verdict.STORED, 1.0)
    for now_s in (STALL_S, DELIVERY_S):
        ack(custody, 0, Verdict.STORED, now_s)
        custody.on_tick(now_s + 1.1)
    assert (custody.causes["stalled"], custody.causes["undelivered"]) == (1, 1)


def test_what_a_store_delivers_is_no_progress_of_the_chain() -> None:
    custody = make_custody(batches=2)
    sent(custody)
    ack(custody, 0, Verdict.STORED, 1.0)
    ack(custody, 0, Verdict.DELIVERED, STALL_S)
    custody.on_tick(1.1 + STALL_S)
    assert custody.causes["stalled"] == 1


def test_a_batch_sent_again_is_not_overtaken_by_those_sent_before_it() -> None:
    custody = make_custody(window=4, batches=8)
    sent(custody)
    ack(custody, 0, Verdict.REFUSED)
    assert sent(custody, BACKOFF_S) == [(0, 1)]
    for sequence in (1, 2, 3):
        ack(custody, sequence, Verdict.STORED, BACKOFF_S)
    assert sent(custody, BACKOFF_S) == [(4, 0), (5, 0), (6, 0)]
    for sequence in (4, 5, 6):
        ack(custody, sequence, Verdict.STORED, BACKOFF_S)
    custody.on_tick(BACKOFF_S)
    assert custody.causes["overtaken"] == 0


def test_with_nothing_left_to_overtake_a_lost_batch_is_noticed_by_the_stall() -> None:
    custody = make_custody(batches=2)
    sent(custody)
    ack(custody, 1, Verdict.STORED, 7.0)
    custody.on_tick(7.0 + STALL_S)
    assert custody.causes["stalled"] == 0
    custody.on_tick(7.1 + STALL_S)
    assert custody.causes["stalled"] == 1
    assert sent(custody, 10.0 + STALL_S) == [(0, 1)]


def test_when_all_are_lost_all_are_sent_again_without_waiting_for_each() -> None:
    custody = make_custody(window=12, batches=12)
    sent(custody)
    resent = []
    for tenth in range(20):
        now_s = STALL_S + 0.1 * (tenth + 1)
        custody.on_tick(now_s)
        resent += sent(custody, now_s)
    assert sorted(resent) == [(sequence, 1) for sequence in range(12)]


def test_batches_whose_store_falls_silent_are_sent_again() -> None:
    custody = make_custody(batches=2)
    sent(custody)
    ack(custody, 0, Verdict.STORED, 1.0)
    ack(custody, 1, Verdict.STORED, 1.0)
    ack(custody, 0, Verdict.DELIVERED, 5.0)
    custody.on_tick(5.0 + DELIVERY_S)
    assert custody.tally().stored == 10
    custody.on_tick(5.1 + DELIVERY_S)
    assert (custody.tally().stored, custody.causes["undelivered"]) == (0, 1)
    assert sent(custody, 10.0 + DELIVERY_S) == [(1, 1)]


def test_a_batch_is_dropped_after_its_last_attempt_and_counted_once() -> None:
    custody = make_custody(window=2, attempts=1, batches=4)
    sent(custody)
    ack(custody, 1, Verdict.STORED)
    sent(custody)
    ack(custody, 2, Verdict.STORED)
    # Batch 0 is overtaken by a window and stalled, both at this tick.
    custody.on_tick(STALL_S + 1)
    tally = custody.tally()
    assert (tally.dropped, tally.stored, tally.accepted) == (10, 20, 40)
    assert custody.causes["attempts_exhausted"] == 10
    ack(custody, 0, Verdict.STORED)
    ack(custody, 0, Verdict.DELIVERED, attempt=1)
    assert custody.tally() == tally, "late, and never sent"


def test_what_was_dropped_and_came_down_after_all_is_delivered_and_not_dropped() -> None:
    custody = make_custody(attempts=1, batches=1)
    sent(custody)
    custody.on_tick(STALL_S + 1)
    for _ in range(2):
        ack(custody, 0, Verdict.DELIVERED)
    tally = custody.tally()
    assert (tally.dropped, tally.delivered) == (0, 10)
    assert "attempts_exhausted" not in custody.causes


def refuse(
    custody: Custody[str], sender: str, cause: Cause = Cause.FOREIGN, sequence: int = 0, attempt: int = 0
) -> None:
    custody.on_ack(BatchId(BOOT, sequence, attempt), Verdict.REFUSED, cause, 1.0, sender)


@pytest.mark.parametrize("is_stored", [False, True], ids=["in flight", "stored"])
def test_what_the_ground_refuses_for_good_is_dropped_and_counted_in_tiles(is_stored: bool) -> None:
    custody = make_custody(batches=2)
    sent(custody)
    if is_stored:
        custody.on_ack(BatchId(BOOT, 0), Verdict.STORED, Cause.NONE, 0.5, "sat1")
    refuse(custody, "ground")
    assert custody.tally().dropped == 10 and custody.causes == {"refused_by_ground": 10}
    refuse(custody, "ground")
    assert custody.tally().dropped == 10 and custody.causes["late_ack"] == 1


def test_the_store_that_was_told_may_say_it_too_when_it_is_asked() -> None:
    custody = make_custody(batches=1)
    sent(custody)
    custody.on_ack(BatchId(BOOT, 0), Verdict.STORED, Cause.NONE, 0.5, "sat1")
    refuse(custody, "sat2")
    assert custody.tally().stored == 10 and custody.causes == {"foreign_ack": 1}
    refuse(custody, "sat1")
    assert custody.tally().dropped == 10


def test_nobody_but_the_ground_refuses_for_good_what_is_in_flight() -> None:
    custody = make_custody(batches=1)
    sent(custody)
    refuse(custody, "sat1")
    custody.on_ack(BatchId(BOOT + 1, 0), Verdict.REFUSED, Cause.FOREIGN, 1.0, "ground")
    refuse(custody, "ground", sequence=9)
    refuse(custody, "ground", attempt=1)
    assert custody.tally().in_flight == 10 and custody.causes == {"foreign_ack": 4}


def test_a_late_refusal_of_an_earlier_attempt_says_nothing() -> None:
    custody = make_custody(batches=1)
    sent(custody)
    ack(custody, 0, Verdict.REFUSED)
    refuse(custody, "ground")
    assert custody.tally().waiting == 10
    assert sent(custody, 9.0) == [(0, 1)]
    refuse(custody, "ground")
    assert custody.tally().in_flight == 10


@pytest.mark.parametrize("is_stored", [False, True], ids=["in flight", "stored"])
def test_what_came_down_and_made_no_sense_is_computed_again_three_times_at_most(is_stored: bool) -> None:
    custody = make_custody(batches=1)
    for attempt in range(3):
        assert sent(custody, 100.0 * attempt) == [(0, attempt)]
        if is_stored:
            custody.on_ack(BatchId(BOOT, 0, attempt), Verdict.STORED, Cause.NONE, 0.5, "sat1")
        refuse(custody, "ground", Cause.MALFORMED, attempt=attempt)
    assert custody.tally().dropped == 10
    assert custody.causes == {"refused_malformed": 3, "attempts_exhausted": 10}


def test_low_water_is_the_oldest_epoch_in_flight() -> None:
    custody = make_custody(window=3, batches=4)
    old, new, newest = Epoch(1, 1), Epoch(1, 2), Epoch(2, 1)
    assert custody.low_water(old) == old
    sent(custody, epoch=old)
    ack(custody, 0, Verdict.STORED)
    sent(custody, epoch=new)
    assert custody.low_water(newest) == old
    ack(custody, 1, Verdict.REFUSED)
    assert custody.low_water(newest) == old
    ack(custody, 2, Verdict.DELIVERED)
    assert custody.low_water(newest) == new
    assert sent(custody, 10.0, newest) == [(1, 1)]
    ack(custody, 3, Verdict.STORED)
    assert custody.low_water(newest) == newest


def test_the_tally_counts_sent_batches_once_and_resent_ones_apart() -> None:
    custody = make_custody(batches=2)
    sent(custody)
    ack(custody, 0, Verdict.REFUSED)
    sent(custody, 10.0)
    tally = custody.tally()
    assert (tally.sent_batches, tally.resent_batches) == (2, 1)


def test_what_was_taken_for_lost_and_turns_up_has_not_failed() -> None:
    custody = make_custody(attempts=2, batches=1)
    assert sent(custody) == [(0, 0)]
    custody.on_tick(1e6)
    (held,) = custody.held_batches()
    assert (held.state, held.failures) == (State.WAITING, 1)
    ack(custody, 0, Verdict.STORED, 1e6 + 1.0)
    assert (held.state, held.failures) == (State.STORED, 0)
