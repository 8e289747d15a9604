import pytest
from flight_plans import BLOCKS, ORIGIN, make_plan

from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.plan import Plan, PlanError
from satllm_ros.protocol.plan_switch import PlanCommitter
from satllm_ros.protocol.vocabulary import Readiness

LOADING, READY, REFUSED = Readiness.LOADING, Readiness.READY, Readiness.REFUSED
# sat1 keeps its blocks from the first plan to the second and gets others with the third.
FIRST = make_plan(1, ("sat1", 4), ("sat2", BLOCKS))
SECOND = make_plan(2, ("sat1", 4), ("sat3", BLOCKS))
THIRD = make_plan(3, ("sat1", 2), ("sat2", BLOCKS))


def committer() -> PlanCommitter:
    return PlanCommitter(**ORIGIN)


def ready(made: PlanCommitter, satellite: str, plan: Plan) -> Plan | None:
    return made.on_status(satellite, READY, plan.epoch, plan.plan_hash)


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
