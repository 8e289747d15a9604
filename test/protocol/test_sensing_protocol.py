from typing import TypeVar

import pytest
from flight_plans import KNOWN, MODEL_ID, ORIGIN, make_plan

from satllm_ros.protocol.custody import CustodyLimits
from satllm_ros.protocol.identity import BatchId
from satllm_ros.protocol.membership.liveness import Life, LivenessLimits
from satllm_ros.protocol.plan import Plan, PlanError
from satllm_ros.protocol.sensing import (
    Announce,
    Persist,
    PublishSwitchState,
    QueryStore,
    SendBatch,
    SensingLimits,
    SensingProtocol,
)
from satllm_ros.protocol.signals import Ack, CustodyQuery, Report, SwitchState
from satllm_ros.protocol.vocabulary import NO_PLAN, Cause, PlanKey, Readiness, Verdict, plan_key

LIMITS = SensingLimits(
    CustodyLimits(window_batches=2, copies_batches=6, stall_s=20.0, query_s=5.0),
    LivenessLimits(period_s=1.0, window=4, suspect_misses=2, dead_misses=4),
    drain_s=10.0,
)
OLD, NEW = make_plan(1), make_plan(2, ("sat1", 3), ("sat2", 8))
Wanted = TypeVar("Wanted")


def make_sensing(persisted: Plan | None = None) -> SensingProtocol[str]:
    sensing: SensingProtocol[str] = SensingProtocol(5, LIMITS, **ORIGIN, persisted=persisted)
    sensing.start(0.0)
    return sensing


def report(
    name: str,
    plan: Plan,
    readiness: Readiness = Readiness.READY,
    *,
    boot_id: int = 1,
    serves: tuple[PlanKey, ...] | None = None,
) -> Report:
    served = (plan_key(plan),) if serves is None and readiness is Readiness.READY else serves or ()
    return Report(name, boot_id, plan_key(plan), readiness, serves=served)


def of(kind: type[Wanted], actions: list) -> list[Wanted]:
    return [action for action in actions if isinstance(action, kind)]


def flying(plan: Plan = OLD) -> SensingProtocol[str]:
    sensing = make_sensing()
    sensing.on_proposal(plan, 0.0)
    for name in sorted(plan.members):
        sensing.on_report(report(name, plan), 0.0)
    assert sensing.active == plan
    return sensing


def feed(sensing: SensingProtocol[str], batches: int, now_s: float = 0.0) -> list[SendBatch[str]]:
    sent = []
    for number in range(batches):
        sensing.custody.accept(f"tiles {number}", 1)
        sent += of(SendBatch, sensing.on_accepted(now_s))
    return sent


def needing_drain(now_s: float = 1.0) -> SensingProtocol[str]:
    sensing = flying()
    feed(sensing, 2)
    sensing.on_proposal(NEW, now_s)
    sensing.on_report(report("sat2", NEW, serves=(plan_key(OLD), plan_key(NEW))), now_s)
    sensing.on_report(report("sat1", NEW, Readiness.NEEDS_DRAIN, serves=(plan_key(OLD),)), now_s)
    return sensing


def stored(sensing: SensingProtocol[str], sequence: int, now_s: float) -> list:
    return sensing.on_ack(Ack(BatchId(5, sequence), "sat2", Verdict.STORED), now_s)


def test_the_last_member_ready_commits_persisted_before_announced_before_sent() -> None:
    sensing = make_sensing()
    sensing.custody.accept("tiles", 1)
    sensing.on_proposal(OLD, 0.0)
    assert sensing.on_report(report("sat1", OLD), 0.0) == []
    assert sensing.waiting_for == {"sat2"}
    actions = sensing.on_report(report("sat2", OLD), 0.0)
    assert actions[:2] == [Persist(OLD), Announce(OLD)]
    assert of(SendBatch, actions) == [SendBatch(BatchId(5, 0), "tiles", OLD, OLD.epoch)]


def test_a_new_life_goes_on_with_the_persisted_plan() -> None:
    sensing: SensingProtocol[str] = SensingProtocol(6, LIMITS, **ORIGIN, persisted=OLD)
    assert sensing.start(0.0) == [PublishSwitchState(SwitchState(low_water=OLD.epoch)), Announce(OLD)]
    assert [send.plan for send in feed(sensing, 1)] == [OLD]
    assert sensing.on_proposal(OLD, 0.0) == [] and sensing.proposal is None
    with pytest.raises(PlanError, match="is taken by plan"):
        sensing.on_proposal(make_plan(1, ("sat1", 2), ("sat2", 8)), 0.0)


def test_a_drain_pauses_empties_says_so_and_commits() -> None:
    sensing = needing_drain()
    assert sensing.draining and not of(SendBatch, feed(sensing, 1, 1.0))
    assert not of(PublishSwitchState, stored(sensing, 0, 2.0))
    told = of(PublishSwitchState, stored(sensing, 1, 3.0))
    assert [tell.state.drained for tell in told] == [plan_key(NEW)]
    actions = sensing.on_report(report("sat1", NEW), 4.0)
    assert actions[:2] == [Persist(NEW), Announce(NEW)] and not sensing.draining
    assert [send.plan for send in of(SendBatch, actions)] == [NEW]


def test_a_drain_that_takes_too_long_is_withdrawn_and_the_old_plan_goes_on() -> None:
    sensing = needing_drain()
    stored(sensing, 0, 2.0)
    stored(sensing, 1, 2.0)
    assert not of(PublishSwitchState, sensing.on_tick(11.0))
    actions = sensing.on_tick(11.5)
    (tell,) = of(PublishSwitchState, actions)
    assert (tell.state.drained, tell.state.withdrawn) == (NO_PLAN, NEW.epoch)
    assert sensing.active == OLD and sensing.proposal is None
    # It unloaded the old blocks in vain, and is sent nothing before it has them again.
    sensing.on_report(report("sat1", NEW, Readiness.READY), 12.0)
    assert sensing.obstacles == {"sat1": "does not serve the active plan yet"}
    assert feed(sensing, 1, 12.0) == []
    sends = of(SendBatch, sensing.on_report(report("sat1", OLD), 13.0))
    assert [send.plan for send in sends] == [OLD]
    with pytest.raises(PlanError, match="withdrawn"):
        sensing.on_proposal(NEW, 14.0)


def test_a_drain_is_waited_for_as_long_as_the_chain_may_take_to_empty() -> None:
    sensing = needing_drain()
    sensing.set_minimum_stall(20.0, 5.0)
    # Begun at 1 s: 20 s for the first batch and 5 s for each of the window of two.
    assert not of(PublishSwitchState, sensing.on_tick(30.9)) and sensing.draining
    assert of(PublishSwitchState, sensing.on_tick(31.1)) and not sensing.draining


def test_a_newer_proposal_ends_the_drain_for_an_older_one() -> None:
    sensing = needing_drain()
    stored(sensing, 0, 2.0)
    stored(sensing, 1, 2.0)
    newer = make_plan(3)
    (tell,) = of(PublishSwitchState, sensing.on_proposal(newer, 3.0))
    assert tell.state.drained == NO_PLAN and not sensing.draining and sensing.proposal == newer


def test_a_member_that_lives_again_must_be_ready_again() -> None:
    sensing = make_sensing()
    sensing.on_proposal(OLD, 0.0)
    sensing.on_report(report("sat1", OLD, boot_id=1), 0.0)
    sensing.on_hello("sat1", 2, 1.0)
    assert not of(Persist, sensing.on_report(report("sat2", OLD), 1.0))
    # A late report of its former life does not count either.
    assert sensing.on_report(report("sat1", OLD, boot_id=1), 1.0) == []
    assert of(Persist, sensing.on_report(report("sat1", OLD, boot_id=2), 2.0))


def test_a_member_that_died_must_be_ready_again_and_holds_the_stream() -> None:
    sensing = flying()
    for second in range(8):
        sensing.on_hello("sat1", 1, float(second))
        sensing.on_tick(float(second))
    assert sensing.obstacles == {"sat2": "dead"}
    assert feed(sensing, 1, 8.0) == []
    assert of(SendBatch, sensing.on_report(report("sat2", OLD), 9.0))


def until_dead(sensing: SensingProtocol[str], silent: str) -> None:
    """Everybody else says hello until this one is taken for dead."""
    for second in range(8):
        for name in sorted({"sat1", "sat2", "sat3"} - {silent}):
            sensing.on_hello(name, 1, float(second))
        sensing.on_tick(float(second))


def test_what_was_under_way_to_a_dead_member_leaves_the_window_at_once() -> None:
    sensing = flying(make_plan(1, downlink="sat3"))
    assert len(feed(sensing, 2)) == 2
    sensing.custody.on_passed(BatchId(5, 0), "sat1")
    until_dead(sensing, "sat1")
    # The first one had come past it.
    assert sensing.custody.causes["way_lost"] == 1
    assert [words for _, words in sensing.ledger()[1]] == ["in flight after sat1", "in window"]


def test_what_a_dead_downlink_had_not_stored_is_taken_for_lost() -> None:
    sensing = flying()
    feed(sensing, 1)
    sensing.custody.on_passed(BatchId(5, 0), "sat2")
    until_dead(sensing, "sat2")
    assert [words for _, words in sensing.ledger()[1]] == ["in window"]


def test_a_member_that_restarts_has_lost_what_was_under_way_to_it() -> None:
    sensing = flying()
    feed(sensing, 1)
    sensing.on_hello("sat1", 1, 0.0)
    sensing.on_hello("sat1", 2, 0.5)
    assert sensing.custody.causes["way_lost"] == 1


def test_the_death_of_a_satellite_that_the_plan_does_not_name_changes_nothing() -> None:
    sensing = flying()
    sensing.on_hello("sat3", 1, 0.0)
    feed(sensing, 1)
    until_dead(sensing, "sat3")
    assert not sensing.custody.causes["way_lost"]


def test_what_a_dead_store_holds_is_sent_again() -> None:
    sensing = flying(make_plan(1, downlink="sat3"))
    feed(sensing, 1)
    sensing.on_ack(Ack(BatchId(5, 0), "sat3", Verdict.STORED), 0.0)
    assert [words for _, words in sensing.ledger()[1]] == ["stored at sat3, reachable"]
    sensing.on_tick(0.0)
    for second in range(1, 8):
        for name in ("sat1", "sat2"):
            sensing.on_hello(name, 1, float(second))
        sensing.on_tick(float(second))
    assert sensing.custody.causes["store_lost"] == 1
    assert [words for _, words in sensing.ledger()[1]] == ["in window"]


def test_the_last_word_of_a_store_that_is_dead_by_then_is_not_relied_on() -> None:
    sensing = flying(make_plan(1, downlink="sat3"))
    feed(sensing, 1)
    sensing.on_hello("sat3", 1, 0.0)
    until_dead(sensing, "sat3")
    assert sensing.liveness.life("sat3") is Life.DEAD
    sensing.custody.sendable(sensing.active.epoch, 9.0)
    sensing.on_ack(Ack(BatchId(5, 0, 1), "sat3", Verdict.STORED), 9.0)
    assert [words for _, words in sensing.ledger()[1]] == ["stored at sat3, down"]
    sensing.on_tick(9.5)
    assert [words for _, words in sensing.ledger()[1]] == ["in window"]


def test_stores_are_asked_about_what_they_keep_long() -> None:
    sensing = flying()
    feed(sensing, 1)
    stored(sensing, 0, 1.0)
    assert of(QueryStore, sensing.on_tick(5.9)) == []
    assert of(QueryStore, sensing.on_tick(6.0)) == [QueryStore(CustodyQuery("sat2", (BatchId(5, 0),)))]
    assert of(QueryStore, sensing.on_tick(7.0)) == []
    sensing.on_ack(Ack(BatchId(5, 0), "sat2", Verdict.REFUSED, Cause.NOT_HELD), 7.0)
    assert of(SendBatch, sensing.on_tick(8.0))[0].batch == BatchId(5, 0, 1)


def test_low_water_rises_when_the_last_batch_of_the_old_plan_is_stored() -> None:
    sensing = flying()
    feed(sensing, 1)
    sensing.on_proposal(NEW, 1.0)
    for name in ("sat1", "sat2"):
        sensing.on_report(report(name, NEW, serves=(plan_key(OLD), plan_key(NEW))), 1.0)
    assert sensing.active == NEW and sensing.switch.low_water == OLD.epoch
    (tell,) = of(PublishSwitchState, stored(sensing, 0, 2.0))
    assert tell.state.low_water == NEW.epoch


def test_the_ledger_says_where_everything_is() -> None:
    sensing = flying()
    feed(sensing, 3)
    sensing.custody.on_passed(BatchId(5, 1), "sat1")
    tally, places = sensing.ledger()
    assert [words for _, words in places] == ["in flight from sensing", "in flight after sat1", "in window"]
    assert (tally.accepted, tally.waiting, tally.in_flight) == (3, 1, 2)


def test_strangers_cannot_hold_up_or_speed_up_a_commit() -> None:
    sensing = make_sensing()
    sensing.on_proposal(OLD, 0.0)
    assert sensing.on_report(report("sat9", OLD), 0.0) == []
    assert "sat9" not in KNOWN and sensing.waiting_for == {"sat1", "sat2"} and MODEL_ID == OLD.model_id


def test_nothing_is_sent_to_a_first_stage_that_would_not_hear_it() -> None:
    sensing = flying()
    assert sensing.on_connections(["sat1"], 1.0) == []
    assert feed(sensing, 1, 1.0) == []
    assert sensing.obstacles == {"sat1": "is not connected to sensing yet"}
    sends = of(SendBatch, sensing.on_connections([], 2.0))

    assert [send.batch.sequence for send in sends] == [0]
    assert sensing.obstacles == {}


def test_a_later_stage_without_a_connection_to_sensing_is_no_obstacle() -> None:
    sensing = flying()
    sensing.on_connections(["sat2"], 1.0)

    assert len(feed(sensing, 1, 1.0)) == 1
