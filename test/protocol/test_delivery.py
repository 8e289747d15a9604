import pytest

from satllm_ros.protocol.delivery import (
    REMEMBERED_DELIVERIES,
    Acknowledge,
    AdoptRun,
    GroundProtocol,
    MarkDelivered,
    Origin,
    Restored,
    SendToGround,
    SetAside,
    StoreAction,
    StoreProtocol,
    Write,
)
from satllm_ros.protocol.identity import BatchId
from satllm_ros.protocol.signals import Ack
from satllm_ros.protocol.vocabulary import Cause, Verdict

FIRST, AGAIN = BatchId(1, 0, 0), BatchId(1, 0, 1)
RUN, MODEL = 2**63 + 1, "model"
OURS = Origin(RUN, MODEL, 10)
RESEND_S = 10.0


def make_store(**changes: object) -> StoreProtocol[str]:
    return StoreProtocol("sat1", resend_s=RESEND_S, **changes)


def make_ground(run_id: int | None = RUN) -> GroundProtocol[str]:
    return GroundProtocol("ground", model_id=MODEL, classes=10, run_id=run_id)


def refused(batch: BatchId = FIRST, cause: Cause = Cause.FOREIGN, sender: str = "ground") -> Acknowledge:
    return Acknowledge(Ack(batch, sender, Verdict.REFUSED, cause))


def ack(batch: BatchId, verdict: Verdict, cause: Cause = Cause.NONE) -> Acknowledge:
    return Acknowledge(Ack(batch, "sat1", verdict, cause))


def stored(store: StoreProtocol[str], batch: BatchId = FIRST, now_s: float = 0.0) -> list[StoreAction[str]]:
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
    store.on_corrupted(FIRST)
    store.on_corrupted(FIRST)
    assert store.on_query([FIRST]) == [ack(FIRST, Verdict.REFUSED, Cause.NOT_HELD)]
    assert (store.undelivered, store.causes["corrupted"]) == (0, 1)
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
    ground = make_ground()
    for _ in range(2):
        assert ground.on_predictions(FIRST, OURS, "labels") == [Write(FIRST, "labels")]
        assert ground.on_written(FIRST) == [Acknowledge(Ack(FIRST, "ground", Verdict.DELIVERED))]


def test_what_is_remembered_is_bounded() -> None:
    count = REMEMBERED_DELIVERIES + 5
    store = make_store(restored=[Restored(BatchId(1, sequence), None) for sequence in range(count)])
    oldest, newest = BatchId(1, 0), BatchId(1, count - 1)
    assert store.on_query([oldest, newest]) == [
        ack(oldest, Verdict.REFUSED, Cause.NOT_HELD),
        ack(newest, Verdict.DELIVERED),
    ]


@pytest.mark.parametrize(
    "origin",
    [Origin(RUN + 1, MODEL, 10), Origin(0, MODEL, 10), Origin(RUN, "another", 10), Origin(RUN, MODEL, 9)],
    ids=["another run", "no run", "another model", "other classes"],
)
def test_the_ground_answers_what_another_run_or_model_made_and_does_not_write_it(origin: Origin) -> None:
    ground = make_ground()
    assert ground.on_predictions(FIRST, origin, "labels") == [refused()]
    assert ground.causes == {"refused_foreign": 1}


def test_a_ground_that_knows_no_run_keeps_to_the_first_that_sensing_says() -> None:
    ground = make_ground(None)
    assert ground.on_predictions(FIRST, OURS, "labels") == [], "neither written nor refused"
    assert ground.on_predictions(FIRST, Origin(RUN, "another", 10), "labels") == [refused()], "no run makes that right"
    assert ground.on_run(0) == [] and ground.run_id is None
    assert ground.on_run(RUN) == [AdoptRun(RUN)]
    assert ground.on_run(RUN) == [] and ground.on_run(0) == []
    assert ground.on_predictions(FIRST, OURS, "labels") == [Write(FIRST, "labels")]
    assert ground.on_run(RUN + 1) == [] and ground.run_id == RUN
    assert ground.causes == {"run_unknown": 1, "refused_foreign": 1, "foreign_run_heard": 1}


def test_what_makes_no_sense_is_refused_as_that() -> None:
    assert make_ground().on_malformed(FIRST) == [refused(cause=Cause.MALFORMED)]


def test_what_the_ground_refuses_is_set_aside_and_never_sent_again() -> None:
    store = make_store(window_batches=1)
    stored(store)
    waiting = BatchId(1, 1)
    stored(store, waiting)
    assert store.on_refused(FIRST, Cause.FOREIGN, 1.0) == [
        SetAside(FIRST, Cause.FOREIGN),
        SendToGround(waiting, "labels"),
    ]
    assert (store.undelivered, store.set_aside) == (1, 1)
    store.on_delivered(waiting, 2.0)
    assert store.on_tick(100.0) == [] and store.on_contact(False, 101.0) == [] and store.on_contact(True, 102.0) == []
    assert store.on_refused(FIRST, Cause.FOREIGN, 103.0) == [], "once is enough"


def test_sensing_is_told_what_the_ground_refused_whenever_it_asks() -> None:
    store = make_store(restored=[Restored(FIRST, None, Cause.FOREIGN)])
    assert store.on_query([AGAIN]) == [refused(AGAIN, sender="sat1")]
    assert store.on_predictions(FIRST, "labels", 0.0) == [refused(FIRST, sender="sat1")], "a copy of what was refused"


def test_what_was_computed_anew_since_is_stored_anew() -> None:
    store = make_store()
    stored(store)
    store.on_refused(FIRST, Cause.MALFORMED, 1.0)
    assert stored(store, AGAIN, 2.0) == [ack(AGAIN, Verdict.STORED), SendToGround(AGAIN, "labels")]
    assert store.set_aside == 0
    assert store.on_refused(FIRST, Cause.MALFORMED, 3.0) == [], "a late word of the attempt before"
    assert store.on_delivered(AGAIN, 4.0) == [MarkDelivered(AGAIN)]


def test_what_was_refused_here_may_come_down_another_way() -> None:
    store = make_store()
    stored(store)
    store.on_refused(FIRST, Cause.MALFORMED, 1.0)
    assert store.on_delivered(AGAIN, 2.0) == [MarkDelivered(AGAIN)]
    assert store.set_aside == 0 and store.on_query([FIRST]) == [ack(FIRST, Verdict.DELIVERED)]


@pytest.mark.parametrize(
    ("batch", "cause"),
    [
        (FIRST, Cause.FULL),
        (FIRST, Cause.NONE),
        (AGAIN, Cause.FOREIGN),
        (BatchId(2, 0), Cause.FOREIGN),
        (BatchId(1, 9), Cause.FOREIGN),
    ],
    ids=["full", "no cause", "attempt that is not here", "other life", "never stored"],
)
def test_a_refusal_of_what_is_not_here_changes_nothing_but_a_count(batch: BatchId, cause: Cause) -> None:
    store = make_store()
    stored(store)
    assert store.on_refused(batch, cause, 1.0) == []
    assert (store.undelivered, store.set_aside, store.causes) == (1, 0, {"foreign_refusal": 1})


def test_of_what_is_set_aside_the_newest_are_remembered() -> None:
    count = REMEMBERED_DELIVERIES + 5
    store = make_store(restored=[Restored(BatchId(1, n), None, Cause.FOREIGN) for n in range(count)])
    oldest, newest = BatchId(1, 0), BatchId(1, count - 1)
    assert store.set_aside == REMEMBERED_DELIVERIES
    assert store.on_query([oldest, newest]) == [
        ack(oldest, Verdict.REFUSED, Cause.NOT_HELD),
        refused(newest, sender="sat1"),
    ]
