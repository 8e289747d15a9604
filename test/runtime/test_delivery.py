from satllm_ros.runtime.custody import Cause, Verdict
from satllm_ros.runtime.delivery import (
    REMEMBERED_DELIVERIES,
    Acknowledge,
    GroundProtocol,
    MarkDelivered,
    Restored,
    SendToGround,
    StoreProtocol,
    Write,
)
from satllm_ros.runtime.identity import BatchId
from satllm_ros.runtime.signals import Ack

FIRST, AGAIN = BatchId(1, 0, 0), BatchId(1, 0, 1)
RESEND_S = 10.0


def make_store(**changes: object) -> StoreProtocol[str]:
    return StoreProtocol("sat1", resend_s=RESEND_S, **changes)


def ack(batch: BatchId, verdict: Verdict, cause: Cause = Cause.NONE) -> Acknowledge:
    return Acknowledge(Ack(batch, "sat1", verdict, cause))


def stored(store: StoreProtocol[str], batch: BatchId = FIRST, now_s: float = 0.0) -> list[object]:
    assert store.on_predictions(batch, "labels", now_s) == [Write(batch, "labels")]
    return store.on_written(batch, "labels", now_s)


def test_written_first_then_acknowledged_then_sent_down() -> None:
    assert stored(make_store()) == [ack(FIRST, Verdict.STORED), SendToGround(FIRST, "labels")]


def test_duplicates_are_not_written_but_acknowledged() -> None:
    store = make_store()
    stored(store)
    assert store.on_predictions(AGAIN, "labels", 1.0) == [ack(AGAIN, Verdict.STORED)]
    store.on_delivered(FIRST, 2.0)
    assert store.on_predictions(AGAIN, "labels", 3.0) == [ack(AGAIN, Verdict.DELIVERED)]


def test_a_duplicate_during_the_write_waits_for_it() -> None:
    store = make_store()
    store.on_predictions(FIRST, "labels", 0.0)
    assert store.on_predictions(AGAIN, "labels", 0.0) == []
    acks = store.on_written(FIRST, "labels", 0.0)[:2]
    assert acks == [ack(FIRST, Verdict.STORED), ack(AGAIN, Verdict.STORED)]


def test_a_failed_write_is_refused_and_may_be_tried_again() -> None:
    store = make_store()
    store.on_predictions(FIRST, "labels", 0.0)
    assert store.on_write_failed(FIRST) == [ack(FIRST, Verdict.REFUSED, Cause.FULL)]
    assert stored(store)


def test_sent_again_until_delivered() -> None:
    store = make_store()
    stored(store)
    assert store.on_tick(RESEND_S - 0.1) == []
    assert store.on_tick(RESEND_S) == [SendToGround(FIRST, "labels")]
    assert store.on_delivered(AGAIN, RESEND_S + 1) == [MarkDelivered(AGAIN)]
    assert store.on_tick(10 * RESEND_S) == [] and store.undelivered == 0
    assert store.on_delivered(FIRST, 0.0) == []


def test_without_contact_nothing_is_sent_and_all_is_kept() -> None:
    store = make_store()
    store.on_contact(False, 0.0)
    assert stored(store) == [ack(FIRST, Verdict.STORED)]
    assert store.on_tick(100.0) == []
    assert store.on_contact(True, 200.0) == [SendToGround(FIRST, "labels")]


def test_what_was_under_way_when_the_contact_ended_is_sent_in_the_next_one() -> None:
    store = make_store()
    stored(store)
    assert store.on_contact(True, 1.0) == [], "told once more changes nothing"
    assert store.on_contact(False, 2.0) == []
    assert store.on_contact(True, 3.0) == [SendToGround(FIRST, "labels")]
    assert store.on_contact(True, 4.0) == []


def test_what_the_ground_will_not_have_does_not_keep_it_from_the_rest() -> None:
    store = make_store(window_batches=1)
    poison, good = BatchId(1, 0), BatchId(1, 1)
    stored(store, poison)
    stored(store, good)
    assert store.on_tick(RESEND_S) == [SendToGround(good, "labels")]
    assert store.on_delivered(good, RESEND_S)[1:] == [SendToGround(poison, "labels")]


def test_patience_with_the_ground_may_be_changed() -> None:
    store = make_store()
    stored(store)
    store.resend_s = 2.0
    assert store.on_tick(2.0) == [SendToGround(FIRST, "labels")]


def test_what_rotted_on_disk_is_not_held_any_more() -> None:
    store = make_store()
    stored(store)
    store.on_spoilt(FIRST)
    store.on_spoilt(FIRST)
    assert store.on_query([FIRST]) == [ack(FIRST, Verdict.REFUSED, Cause.NOT_HELD)]
    assert (store.undelivered, store.causes["spoilt"]) == (0, 1)
    assert store.on_predictions(AGAIN, "labels", 9.0) == [Write(AGAIN, "labels")]


def test_what_is_on_disk_at_start_is_sent_and_what_was_delivered_is_not() -> None:
    other = BatchId(1, 1)
    store = make_store(restored=[Restored(FIRST, "labels"), Restored(other, None)])
    assert store.on_contact(True, 0.0) == [SendToGround(FIRST, "labels")]
    assert store.on_predictions(other, "labels", 0.0) == [ack(other, Verdict.DELIVERED)]


def test_no_more_are_under_way_than_the_window_allows() -> None:
    store = make_store(window_batches=2)
    batches = [BatchId(1, sequence) for sequence in range(4)]
    sends = [action for batch in batches for action in stored(store, batch) if isinstance(action, SendToGround)]
    assert [send.batch for send in sends] == batches[:2]
    assert SendToGround(batches[2], "labels") in store.on_delivered(batches[0], 1.0)


def test_questions_are_answered_with_what_is_known() -> None:
    store = make_store()
    stored(store)
    delivered, unknown, writing = BatchId(1, 1), BatchId(1, 2), BatchId(1, 3)
    stored(store, delivered)
    store.on_delivered(delivered, 0.0)
    store.on_predictions(writing, "labels", 0.0)
    assert store.on_query([FIRST, delivered, unknown, writing]) == [
        ack(FIRST, Verdict.STORED),
        ack(delivered, Verdict.DELIVERED),
        ack(unknown, Verdict.REFUSED, Cause.NOT_HELD),
    ]


def test_the_ground_writes_and_then_acknowledges_every_copy() -> None:
    ground: GroundProtocol[str] = GroundProtocol("ground")
    for _ in range(2):
        assert ground.on_predictions(FIRST, "labels") == [Write(FIRST, "labels")]
        assert ground.on_written(FIRST) == [Acknowledge(Ack(FIRST, "ground", Verdict.DELIVERED))]


def test_what_is_remembered_is_bounded() -> None:
    count = REMEMBERED_DELIVERIES + 5
    store = make_store(restored=[Restored(BatchId(1, sequence), None) for sequence in range(count)])
    oldest, newest = BatchId(1, 0), BatchId(1, count - 1)
    assert store.on_query([oldest, newest]) == [
        ack(oldest, Verdict.REFUSED, Cause.NOT_HELD),
        ack(newest, Verdict.DELIVERED),
    ]
