from itertools import permutations

import pytest
from flight_plans import BLOCKS, KNOWN, MODEL_ID, make_plan

from satllm_ros.protocol.identity import NO_EPOCH, BatchId, Envelope, Epoch
from satllm_ros.protocol.plan import Plan
from satllm_ros.protocol.satellite import Action, Ignore, Load, Refuse, SatelliteProtocol, Serve, Unload
from satllm_ros.protocol.signals import SwitchState
from satllm_ros.protocol.vocabulary import Cause, Readiness, plan_key

ROOMY, TIGHT = 2 * BLOCKS, 5


def make_satellite(budget_bytes: int = ROOMY) -> SatelliteProtocol:
    return SatelliteProtocol(
        "sat1", 7, model_id=MODEL_ID, layer_bytes=(1,) * BLOCKS, known=KNOWN, budget_bytes=budget_bytes
    )


def loads(actions: list[Action]) -> list[tuple[int, int]]:
    return [action.blocks for action in actions if isinstance(action, Load)]


def unloads(actions: list[Action]) -> list[tuple[int, int]]:
    return [action.blocks for action in actions if isinstance(action, Unload)]


def settle(satellite: SatelliteProtocol, actions: list[Action]) -> list[Action]:
    """Finish every load that is asked for."""
    done = list(actions)
    while blocks := loads(actions):
        actions = [action for each in blocks for action in satellite.on_loaded(each)]
        done += actions
    return done


def batch_of(plan: Plan, *, low_water: Epoch = NO_EPOCH, **changes: object) -> Envelope:
    fields: dict[str, object] = {
        "batch": BatchId(1, 0),
        "sender": "sensing",
        "destination": "sat1",
        "epoch": plan.epoch,
        "plan_hash": plan.plan_hash,
        "low_water": low_water,
        "model_id": MODEL_ID,
        "run_id": 8,
        "source_id": "camera",
        "frames": (1,),
        "tile_indices": (0,),
    }
    return Envelope(**{**fields, **changes})


def flying(budget_bytes: int, plan: Plan) -> SatelliteProtocol:
    satellite = make_satellite(budget_bytes)
    settle(satellite, satellite.on_active(plan))
    return satellite


OLD = make_plan(1, ("sat1", 4), ("sat2", BLOCKS))
NEW = make_plan(2, ("sat1", 3), ("sat2", BLOCKS))


def test_a_proposal_is_loaded_and_then_reported_ready() -> None:
    satellite = make_satellite()
    assert loads(satellite.on_proposal(OLD)) == [(0, 4)]
    assert satellite.report.readiness is Readiness.LOADING and satellite.report.serves == ()
    satellite.on_loaded((0, 4))
    assert satellite.report.readiness is Readiness.READY
    assert satellite.report.about == plan_key(OLD) and satellite.report.serves == (plan_key(OLD),)


def test_old_and_new_are_served_side_by_side_until_low_water_passes() -> None:
    satellite = flying(ROOMY, OLD)
    settle(satellite, satellite.on_proposal(NEW))
    satellite.on_active(NEW)
    for plan in (OLD, NEW):
        decision, _ = satellite.on_batch(batch_of(plan, low_water=OLD.epoch), 0)
        assert isinstance(decision, Serve) and decision.plan == plan and decision.stage == plan.stage_of("sat1")
    decision, actions = satellite.on_batch(batch_of(NEW, low_water=NEW.epoch), 0)
    assert isinstance(decision, Serve) and unloads(actions) == [(0, 4)]
    assert satellite.on_batch(batch_of(OLD), 0)[0] == Refuse(Cause.UNKNOWN_EPOCH)


def test_low_water_is_heard_without_batches_too() -> None:
    satellite = flying(ROOMY, OLD)
    settle(satellite, satellite.on_active(NEW))
    assert unloads(satellite.on_switch(SwitchState(low_water=NEW.epoch))) == [(0, 4)]


def test_a_damaged_low_water_mark_costs_no_sub_model() -> None:
    satellite = flying(ROOMY, OLD)
    decision, actions = satellite.on_batch(batch_of(OLD, low_water=Epoch(99, 9)), 0)
    assert isinstance(decision, Serve) and not unloads(actions)


@pytest.mark.parametrize("bearer", [OLD, NEW], ids=["of the old plan", "of the new one"])
def test_a_low_water_above_the_batchs_own_epoch_costs_nobody_a_sub_model(bearer: Plan) -> None:
    satellite = flying(ROOMY, OLD)
    settle(satellite, satellite.on_active(NEW))
    decision, actions = satellite.on_batch(batch_of(bearer, low_water=Epoch(99, 9)), 0)
    assert isinstance(decision, Serve) and not unloads(actions)
    for plan in (OLD, NEW):
        assert isinstance(satellite.on_batch(batch_of(plan), 0)[0], Serve)


def test_without_room_for_both_it_needs_a_drain() -> None:
    satellite = flying(TIGHT, OLD)
    assert loads(satellite.on_proposal(NEW)) == []
    assert satellite.report.readiness is Readiness.NEEDS_DRAIN and plan_key(OLD) in satellite.report.serves
    actions = satellite.on_switch(SwitchState(drained=plan_key(NEW)))
    assert unloads(actions) == [(0, 4)] and loads(actions) == [(0, 3)]
    satellite.on_loaded((0, 3))
    assert satellite.report.readiness is Readiness.READY and satellite.report.serves == (plan_key(NEW),)


def test_a_withdrawn_proposal_makes_room_for_the_active_plan_again() -> None:
    satellite = flying(TIGHT, OLD)
    satellite.on_proposal(NEW)
    settle(satellite, satellite.on_switch(SwitchState(drained=plan_key(NEW))))
    actions = satellite.on_switch(SwitchState(withdrawn=NEW.epoch))
    assert unloads(actions) == [(0, 3)] and loads(actions) == [(0, 4)]
    satellite.on_loaded((0, 4))
    assert satellite.report.serves == (plan_key(OLD),)
    assert satellite.on_proposal(NEW) == []


def test_memory_is_never_exceeded_while_loading() -> None:
    satellite = make_satellite(TIGHT)
    satellite.on_proposal(OLD)
    satellite.on_proposal(NEW)
    # The first load cannot be stopped; the second waits for it.
    assert satellite.memory_bytes == 4
    actions = satellite.on_loaded((0, 4))
    assert unloads(actions) == [(0, 4)] and loads(actions) == [(0, 3)]


@pytest.mark.parametrize("budget_bytes", [ROOMY, TIGHT])
def test_a_late_joiner_may_hear_all_in_any_order(budget_bytes: int) -> None:
    ends = set()
    switch = SwitchState(drained=plan_key(NEW), low_water=OLD.epoch)
    for order in permutations(("on_active", "on_proposal", "on_switch")):
        satellite = make_satellite(budget_bytes)
        heard = {"on_active": OLD, "on_proposal": NEW, "on_switch": switch}
        for name in order:
            settle(satellite, getattr(satellite, name)(heard[name]))
        ends.add((satellite.report, frozenset(satellite.loaded)))
    assert len(ends) == 1
    report, _ = ends.pop()
    assert report.readiness is Readiness.READY and report.about == plan_key(NEW)


def test_the_active_plan_outranks_a_proposal_of_the_same_epoch() -> None:
    other = make_plan(1, ("sat1", 2), ("sat2", BLOCKS), planner_id="/another")
    satellite = make_satellite()
    settle(satellite, satellite.on_proposal(other))
    settle(satellite, satellite.on_active(OLD))
    assert isinstance(satellite.on_batch(batch_of(OLD), 0)[0], Serve)
    assert satellite.on_batch(batch_of(other), 0)[0] == Refuse(Cause.UNKNOWN_EPOCH)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["lesser first", "greater first"])
def test_of_two_proposals_of_one_epoch_the_lesser_planner_id_wins(order: tuple[int, int]) -> None:
    plans = [make_plan(1, planner_id="/a"), make_plan(1, ("sat1", 2), ("sat2", BLOCKS), planner_id="/b")]
    satellite = make_satellite()
    for place in order:
        settle(satellite, satellite.on_proposal(plans[place]))
    assert satellite.report.about == plan_key(plans[0]) and satellite.report.readiness is Readiness.READY


def test_a_batch_tells_that_its_plan_is_committed() -> None:
    satellite = make_satellite()
    settle(satellite, satellite.on_proposal(OLD))
    assert isinstance(satellite.on_batch(batch_of(OLD), 0)[0], Serve)
    settle(satellite, satellite.on_proposal(NEW))
    settle(satellite, satellite.on_proposal(make_plan(3, ("sat1", 2), ("sat2", BLOCKS))))
    assert isinstance(satellite.on_batch(batch_of(OLD), 0)[0], Serve)


def test_a_superseded_proposal_is_kept_while_there_is_room() -> None:
    roomy = make_satellite()
    settle(roomy, roomy.on_proposal(OLD))
    settle(roomy, roomy.on_proposal(NEW))
    assert isinstance(roomy.on_batch(batch_of(OLD), 0)[0], Serve)
    tight = make_satellite(TIGHT)
    settle(tight, tight.on_proposal(OLD))
    settle(tight, tight.on_proposal(NEW))
    assert tight.report.readiness is Readiness.READY
    assert tight.on_batch(batch_of(OLD), 0)[0] == Refuse(Cause.UNKNOWN_EPOCH)


def test_bad_batches_are_refused_or_ignored() -> None:
    satellite = flying(ROOMY, OLD)
    assert satellite.on_batch(batch_of(OLD, destination="sat2"), 0)[0] == Ignore("misrouted")
    assert satellite.on_batch(batch_of(OLD), 3)[0] == Refuse(Cause.MALFORMED)
    assert satellite.on_batch(batch_of(OLD, model_id="f" * 16), 0)[0] == Refuse(Cause.MALFORMED)
    assert satellite.on_batch(batch_of(OLD, plan_hash="f" * 16), 0)[0] == Refuse(Cause.UNKNOWN_EPOCH)


def test_a_bad_plan_does_not_hide_a_good_one() -> None:
    satellite = make_satellite()
    satellite.on_proposal(make_plan(9, ("sat1", 4)))
    assert satellite.report.readiness is Readiness.REFUSED and "ends at block 4" in satellite.report.reason
    settle(satellite, satellite.on_proposal(OLD))
    assert satellite.report.readiness is Readiness.READY
    satellite.on_proposal(make_plan(10, ("sat1", 4)))
    assert satellite.report.about == plan_key(OLD)


def test_blocks_that_cannot_be_loaded_are_refused_until_the_next_plan() -> None:
    satellite = make_satellite()
    satellite.on_proposal(OLD)
    assert loads(satellite.on_load_failed((0, 4), "damaged checkpoint")) == []
    assert satellite.report.readiness is Readiness.REFUSED and satellite.report.reason == "damaged checkpoint"
    assert loads(satellite.on_proposal(make_plan(2))) == [(0, 4)]


def test_a_plan_beyond_the_budget_is_refused_with_figures() -> None:
    satellite = make_satellite(3)
    satellite.on_proposal(OLD)
    assert satellite.report.readiness is Readiness.REFUSED
    assert satellite.report.reason == "blocks (0, 4] need 4 bytes, the budget is 3"


def test_who_only_stores_is_ready_at_once() -> None:
    satellite = make_satellite()
    plan = make_plan(1, ("sat2", BLOCKS), downlink="sat1")
    assert loads(satellite.on_proposal(plan)) == []
    assert satellite.report.readiness is Readiness.READY and satellite.report.serves == (plan_key(plan),)


def test_memory_that_is_taken_away_costs_what_does_not_fit_and_given_back_restores_it() -> None:
    satellite = flying(ROOMY, OLD)
    actions = satellite.on_budget(3)
    assert Unload((0, 4)) in actions
    assert satellite.report.serves == () and satellite.report.reason == "blocks (0, 4] need 4 bytes, the budget is 3"
    settle(satellite, satellite.on_budget(4))
    assert satellite.report.serves == (plan_key(OLD),)


def test_memory_that_is_taken_away_costs_a_proposal_before_the_active_plan() -> None:
    satellite = flying(ROOMY, OLD)
    settle(satellite, satellite.on_proposal(NEW))
    assert satellite.on_budget(6)[0] == Unload((0, 3))
    assert satellite.report.readiness is Readiness.NEEDS_DRAIN
    assert satellite.report.serves == (plan_key(OLD),)


def test_a_plan_it_objects_to_is_refused_with_the_objection() -> None:
    satellite = SatelliteProtocol(
        "sat1",
        7,
        model_id=MODEL_ID,
        layer_bytes=(1,) * BLOCKS,
        known=KNOWN,
        budget_bytes=ROOMY,
        objection=lambda plan: "int8 is too coarse" if plan == NEW else "",
    )
    settle(satellite, satellite.on_proposal(OLD))
    satellite.on_active(OLD)
    satellite.on_proposal(NEW)

    assert satellite.report.readiness is Readiness.REFUSED
    assert satellite.report.reason == f"plan {NEW.epoch}: int8 is too coarse"
    assert satellite.report.serves == (plan_key(OLD),)
