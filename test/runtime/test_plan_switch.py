import dataclasses

import pytest
from flight_plans import BLOCKS, ORIGIN, make_plan

from satllm_ros.runtime.identity import Epoch
from satllm_ros.runtime.plan import Plan, PlanError
from satllm_ros.runtime.plan_switch import PlanCommitter, PlanTable, Readiness

LOADING, READY, REFUSED = Readiness.LOADING, Readiness.READY, Readiness.REFUSED
# sat1 keeps its blocks from the first plan to the second and gets others with the third.
FIRST = make_plan(1, ("sat1", 4), ("sat2", BLOCKS))
SECOND = make_plan(2, ("sat1", 4), ("sat3", BLOCKS))
THIRD = make_plan(3, ("sat1", 2), ("sat2", BLOCKS))


def committer() -> PlanCommitter:
    return PlanCommitter(**ORIGIN)


def table(satellite: str = "sat1", *plans: Plan) -> PlanTable:
    """A table with these plans on board."""
    made = PlanTable(satellite, **ORIGIN)
    for plan in plans:
        if made.on_plan(plan) is not None:
            made.on_loaded(plan.epoch)
    return made


def report(made: PlanTable) -> tuple[Epoch, str, Readiness]:
    return made.proposed, made.proposed_hash, made.readiness


def ready(made: PlanCommitter, satellite: str, plan: Plan) -> Plan | None:
    return made.on_status(satellite, READY, plan.epoch, plan.plan_hash)


# Sensing


def test_a_plan_is_committed_when_its_last_member_is_ready() -> None:
    sensing = committer()
    assert sensing.on_proposal(FIRST) is None
    assert ready(sensing, "sat1", FIRST) is None
    assert sensing.waiting_for == {"sat2"}
    assert sensing.active is None
    assert ready(sensing, "sat2", FIRST) == FIRST
    assert (sensing.active, sensing.proposal) == (FIRST, None)


def test_the_downlink_is_a_member_even_without_blocks() -> None:
    sensing, plan = committer(), make_plan(1, ("sat1", BLOCKS), downlink="sat4")
    sensing.on_proposal(plan)
    assert ready(sensing, "sat1", plan) is None
    assert ready(sensing, "sat4", plan) == plan


def test_reports_that_came_before_the_proposal_count() -> None:
    sensing = committer()
    ready(sensing, "sat1", FIRST)
    ready(sensing, "sat2", FIRST)
    assert sensing.on_proposal(FIRST) == FIRST


@pytest.mark.parametrize("takes_back", [Readiness.NONE, LOADING, REFUSED])
def test_readiness_taken_back_holds_the_commit(takes_back: Readiness) -> None:
    sensing = committer()
    sensing.on_proposal(FIRST)
    ready(sensing, "sat1", FIRST)
    sensing.on_status("sat1", takes_back, FIRST.epoch, FIRST.plan_hash)
    assert ready(sensing, "sat2", FIRST) is None
    assert ready(sensing, "sat1", FIRST) == FIRST


def test_readiness_for_another_plan_or_from_a_stranger_does_not_count() -> None:
    sensing = committer()
    sensing.on_proposal(FIRST)
    ready(sensing, "sat1", FIRST)
    sensing.on_status("sat2", READY, FIRST.epoch, "f" * 16)
    sensing.on_status("sat2", READY, Epoch(1, 9), FIRST.plan_hash)
    sensing.on_status("stranger", READY, FIRST.epoch, FIRST.plan_hash)
    assert sensing.active is None
    assert sensing.waiting_for == {"sat2"}


def test_the_active_plan_flies_on_until_the_next_is_committed() -> None:
    sensing = committer()
    sensing.on_proposal(FIRST)
    ready(sensing, "sat1", FIRST)
    ready(sensing, "sat2", FIRST)
    sensing.on_proposal(SECOND)
    sensing.on_proposal(THIRD)
    ready(sensing, "sat1", SECOND)
    ready(sensing, "sat3", SECOND)
    assert sensing.active == FIRST, "the second proposal was replaced by the third"
    ready(sensing, "sat1", THIRD)
    ready(sensing, "sat2", THIRD)
    assert sensing.active == THIRD


def test_stale_and_conflicting_proposals_are_refused_with_a_sentence() -> None:
    sensing = committer()
    sensing.on_proposal(SECOND)
    double = make_plan(2, ("sat4", BLOCKS))
    with pytest.raises(PlanError, match=f"1.2 is taken by plan {SECOND.plan_hash}, not {double.plan_hash}"):
        sensing.on_proposal(double)
    with pytest.raises(PlanError, match="1.1 is older than plan 1.2"):
        sensing.on_proposal(FIRST)
    ready(sensing, "sat1", SECOND)
    ready(sensing, "sat3", SECOND)
    with pytest.raises(PlanError, match="1.1 is older than plan 1.2"):
        sensing.on_proposal(FIRST)
    with pytest.raises(PlanError, match="is taken by plan"):
        sensing.on_proposal(double)
    assert sensing.active == SECOND


def test_the_active_plan_proposed_again_is_no_new_proposal() -> None:
    sensing = committer()
    for name in ("sat1", "sat2"):
        ready(sensing, name, FIRST)
    assert sensing.on_proposal(FIRST) == FIRST
    assert sensing.on_proposal(FIRST) is None
    assert sensing.proposal is None


def test_a_malformed_proposal_leaves_the_pending_one() -> None:
    sensing = committer()
    sensing.on_proposal(FIRST)
    with pytest.raises(PlanError, match="model"):
        sensing.on_proposal(make_plan(2, model_id="f" * 16))
    assert sensing.proposal == FIRST


# A satellite


def test_a_satellite_loads_its_blocks_and_is_then_ready() -> None:
    sat = PlanTable("sat2", **ORIGIN)
    stage = sat.on_plan(FIRST)
    assert stage is not None and (stage.start, stage.stop) == (4, BLOCKS)
    assert report(sat) == (FIRST.epoch, FIRST.plan_hash, LOADING)
    assert sat.entry(FIRST.epoch, FIRST.plan_hash) is None
    assert sat.needed_blocks() == {(4, BLOCKS)}
    sat.on_loaded(FIRST.epoch)
    assert report(sat) == (FIRST.epoch, FIRST.plan_hash, READY)
    entry = sat.entry(FIRST.epoch, FIRST.plan_hash)
    assert entry is not None and entry.stage == stage


def test_a_satellite_without_blocks_is_ready_at_once() -> None:
    sat = PlanTable("sat4", **ORIGIN)
    assert sat.on_plan(FIRST) is None
    assert report(sat) == (FIRST.epoch, FIRST.plan_hash, READY)
    assert sat.newest is not None and sat.newest.stage is None


def test_unchanged_blocks_are_used_again_and_changed_ones_loaded() -> None:
    sat = table("sat1", FIRST)
    assert sat.on_plan(SECOND) is None
    assert sat.readiness is READY
    stage = sat.on_plan(THIRD)
    assert stage is not None and (stage.start, stage.stop) == (0, 2)
    assert sat.needed_blocks() == {(0, 4), (0, 2)}


def test_a_batch_is_served_only_under_the_hash_it_names() -> None:
    sat = table("sat1", FIRST)
    assert sat.entry(FIRST.epoch, SECOND.plan_hash) is None
    assert sat.entry(SECOND.epoch, FIRST.plan_hash) is None


def test_low_water_drops_older_plans_but_never_the_newest() -> None:
    sat = table("sat1", FIRST, SECOND, THIRD)
    sat.on_low_water(SECOND.epoch)
    assert sat.epochs == [SECOND.epoch, THIRD.epoch]
    assert sat.needed_blocks() == {(0, 4), (0, 2)}
    sat.on_low_water(Epoch(9, 9))
    assert sat.epochs == [THIRD.epoch]
    assert sat.needed_blocks() == {(0, 2)}


def test_a_plan_below_low_water_is_refused() -> None:
    sat = table("sat1", SECOND, THIRD)
    sat.on_low_water(SECOND.epoch)
    sat.refuse(make_plan(9), "no memory")
    assert sat.on_plan(FIRST) is None
    assert sat.readiness is REFUSED and "older" in sat.reason
    assert sat.epochs == [SECOND.epoch, THIRD.epoch]


def test_a_plan_whose_blocks_arrive_after_its_time_is_forgotten() -> None:
    sat = table("sat1", FIRST)
    other = make_plan(2, ("sat1", 6), ("sat2", BLOCKS))
    assert sat.on_plan(other) is not None
    assert sat.on_plan(THIRD) is not None
    sat.on_loaded(THIRD.epoch)
    sat.on_low_water(THIRD.epoch)
    sat.on_loaded(other.epoch)
    assert sat.epochs == [THIRD.epoch]
    assert sat.needed_blocks() == {(0, 2)}


@pytest.mark.parametrize("order", [(FIRST, THIRD), (THIRD, FIRST)], ids=["active first", "proposal first"])
def test_a_late_joiner_takes_the_active_plan_and_the_proposal(order: tuple[Plan, Plan]) -> None:
    sat = PlanTable("sat1", **ORIGIN)
    for plan in order:
        assert sat.on_plan(plan) is not None
    assert report(sat) == (THIRD.epoch, THIRD.plan_hash, LOADING)
    for plan in order:
        sat.on_loaded(plan.epoch)
    assert sat.entry(FIRST.epoch, FIRST.plan_hash) and sat.entry(THIRD.epoch, THIRD.plan_hash)
    assert report(sat) == (THIRD.epoch, THIRD.plan_hash, READY)


def test_a_late_joiner_that_need_not_load_the_proposal_still_takes_the_active_plan() -> None:
    sat, proposal = PlanTable("sat1", **ORIGIN), make_plan(2, ("sat2", BLOCKS))
    assert sat.on_plan(proposal) is None
    assert sat.on_plan(FIRST) is not None
    sat.on_loaded(FIRST.epoch)
    assert sat.entry(FIRST.epoch, FIRST.plan_hash) is not None
    assert report(sat) == (proposal.epoch, proposal.plan_hash, READY)


def test_a_failed_load_is_reported_and_may_be_proposed_again() -> None:
    sat = table("sat1", FIRST)
    sat.on_plan(THIRD)
    sat.refuse(THIRD, "no memory")
    assert report(sat) == (THIRD.epoch, THIRD.plan_hash, REFUSED)
    assert sat.reason == "no memory"
    assert sat.entry(FIRST.epoch, FIRST.plan_hash) is not None
    assert sat.needed_blocks() == {(0, 4)}
    assert sat.on_plan(THIRD) is not None
    assert (sat.readiness, sat.reason) == (LOADING, "")
    sat.on_loaded(THIRD.epoch)
    assert report(sat) == (THIRD.epoch, THIRD.plan_hash, READY)


@pytest.mark.parametrize(
    "stray",
    [
        make_plan(3, ("sat4", BLOCKS)),
        make_plan(1, ("sat1", 5), ("sat2", BLOCKS)),
        make_plan(2, model_id="f" * 16),
    ],
    ids=["double of the same epoch", "older", "older and malformed"],
)
def test_a_stray_plan_neither_hides_nor_takes_the_readiness_of_the_proposal(stray: Plan) -> None:
    sat = table("sat1", make_plan(2, ("sat1", 4), ("sat2", BLOCKS)))
    sat.on_plan(THIRD)
    sat.on_plan(stray)
    sat.on_loaded(THIRD.epoch)
    assert report(sat) == (THIRD.epoch, THIRD.plan_hash, READY)
    sat.on_plan(stray)
    assert report(sat) == (THIRD.epoch, THIRD.plan_hash, READY)
    assert sat.entry(THIRD.epoch, stray.plan_hash) is None


def test_a_double_of_a_plan_being_loaded_is_not_given_its_blocks() -> None:
    sat, double = PlanTable("sat1", **ORIGIN), make_plan(1, ("sat1", 6), ("sat2", BLOCKS))
    sat.on_plan(FIRST)
    assert sat.on_plan(double) is None
    sat.on_loaded(FIRST.epoch)
    assert sat.entry(double.epoch, double.plan_hash) is None
    assert sat.entry(FIRST.epoch, FIRST.plan_hash) is not None


def test_a_refused_newer_plan_is_reported_and_gives_way_to_good_ones() -> None:
    sat = table("sat1", FIRST)
    bad = make_plan(9, model_id="f" * 16)
    sat.on_plan(bad)
    assert report(sat) == (bad.epoch, bad.plan_hash, REFUSED)
    assert "model" in sat.reason
    sat.on_plan(FIRST)
    assert report(sat) == (FIRST.epoch, FIRST.plan_hash, READY)
    sat.on_plan(bad)
    sat.on_plan(THIRD)
    assert report(sat) == (THIRD.epoch, THIRD.plan_hash, LOADING)


def test_a_plan_heard_twice_is_loaded_once() -> None:
    sat = PlanTable("sat1", **ORIGIN)
    assert sat.on_plan(FIRST) is not None
    assert sat.on_plan(FIRST) is None
    assert sat.readiness is LOADING
    sat.on_loaded(FIRST.epoch)
    assert sat.on_plan(FIRST) is None
    assert sat.on_plan(dataclasses.replace(FIRST, explanation="said differently")) is None
    assert sat.epochs == [FIRST.epoch]


def test_blocks_nobody_waits_for_change_nothing() -> None:
    sat = table("sat1", FIRST)
    before = sat.report
    sat.on_loaded(Epoch(5, 5))
    assert sat.report is before
    assert sat.epochs == [FIRST.epoch]
