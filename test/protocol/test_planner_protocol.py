from dataclasses import replace

from flight_plans import BLOCKS, KNOWN, make_plan

from satllm_ros.protocol.identity import NO_EPOCH, Epoch
from satllm_ros.protocol.membership.liveness import LivenessLimits
from satllm_ros.protocol.plan import MAX_EPOCH, Plan
from satllm_ros.protocol.planner import EPOCH_JUMP, PersistIncarnation, PlannerLimits, PlannerProtocol, Propose
from satllm_ros.protocol.signals import Report
from satllm_ros.protocol.vocabulary import Readiness, plan_key

LIMITS = PlannerLimits(
    start_s=10.0,
    retry_s=30.0,
    yield_s=60.0,
    liveness=LivenessLimits(period_s=1.0, window=4, suspect_misses=2, dead_misses=4),
)


def split(alive: tuple[str, ...]) -> Plan | None:
    """The first two share the model; nobody can hold it alone."""
    if len(alive) < 2:
        return None
    draft = make_plan(1, (alive[0], 4), (alive[1], BLOCKS))
    return replace(draft, epoch=NO_EPOCH, planner_id="", plan_hash="")


def make_planner(planner_id: str = "/planner", persisted: int = 0) -> PlannerProtocol:
    planner = PlannerProtocol(planner_id, KNOWN, split, LIMITS, persisted=persisted)
    planner.start(0.0)
    return planner


def hear(planner: PlannerProtocol, *names: str, now_s: float = 0.0, boot_id: int = 1) -> list:
    return [action for name in names for action in planner.on_hello(name, boot_id, now_s)]


def keep_alive(planner: PlannerProtocol, names: tuple[str, ...], from_s: int, until_s: int) -> list:
    actions = []
    for second in range(from_s, until_s):
        actions += hear(planner, *names, now_s=float(second))
        actions += planner.on_tick(float(second))
    return actions


def proposed(actions: list) -> list[Plan]:
    return [action.plan for action in actions if isinstance(action, Propose)]


def flying(planner: PlannerProtocol) -> Plan:
    (plan,) = proposed(hear(planner, *KNOWN))
    planner.on_active(plan, 1.0)
    return plan


def test_the_first_plan_is_made_when_all_are_heard_and_its_incarnation_persisted_first() -> None:
    planner = make_planner(persisted=4)
    assert hear(planner, *KNOWN[:-1]) == []
    persist, propose = hear(planner, KNOWN[-1])
    assert persist == PersistIncarnation(5)
    assert propose.plan.epoch == Epoch(5, 1) and propose.plan.plan_hash == propose.plan.digest()
    assert propose.plan.planner_id == "/planner"


def test_who_stays_silent_is_planned_around() -> None:
    planner = make_planner()
    assert proposed(keep_alive(planner, KNOWN[1:], 0, 10)) == []
    (plan,) = proposed(keep_alive(planner, KNOWN[1:], 10, 12))
    assert plan.satellites == ("sat2", "sat3")


def test_the_incarnation_is_above_every_one_seen() -> None:
    planner = make_planner(persisted=2)
    planner.on_proposal_seen(make_plan(3, incarnation=7, planner_id="/z"), 0.0)
    hear(planner, *KNOWN[:-1])
    report = Report(KNOWN[-1], 1, (Epoch(9, 2), "f" * 16), Readiness.READY)
    (plan,) = proposed(planner.on_report(report, 0.0))
    assert plan.epoch == Epoch(10, 1)


def test_the_epoch_of_a_refused_plan_may_be_nonsense() -> None:
    planner = make_planner()
    planner.on_report(Report("sat1", 1, (Epoch(2**64 - 1, 1), "f" * 16), Readiness.REFUSED), 0.0)
    (plan,) = proposed(hear(planner, *KNOWN))
    assert plan.epoch == Epoch(1, 1)


def test_a_dead_member_is_bypassed_and_a_returning_one_offered_work() -> None:
    planner = make_planner()
    flying(planner)
    others = KNOWN[1:]
    (around,) = proposed(keep_alive(planner, others, 1, 8))
    assert "sat1" not in around.members and around.epoch == Epoch(1, 2)
    planner.on_active(around, 8.0)
    (again,) = proposed(hear(planner, "sat1", now_s=9.0, boot_id=2))
    assert again.satellites == ("sat1", "sat2")


def test_a_dead_satellite_without_work_changes_nothing() -> None:
    planner = make_planner()
    flying(planner)
    assert keep_alive(planner, KNOWN[:3], 1, 20) == []


def test_a_planner_that_starts_late_sees_that_the_active_plan_needs_a_dead_one() -> None:
    planner = make_planner()
    planner.on_active(make_plan(5), 0.0)
    (plan,) = proposed(keep_alive(planner, KNOWN[1:], 0, 12))
    assert plan.satellites == ("sat2", "sat3") and plan.epoch == Epoch(2, 1)


def test_a_planner_that_starts_late_waits_for_the_plan_that_satellites_serve() -> None:
    served = make_plan(1, ("sat1", 4), ("sat2", BLOCKS))
    planner = make_planner(persisted=1)
    for name in KNOWN:
        assert planner.on_report(Report(name, 1, serves=(plan_key(served),)), 0.0) == []
    assert planner.on_active(served, 1.0) == []
    assert keep_alive(planner, KNOWN, 2, 30) == [], "the plan in force is as good"


def test_a_plan_that_is_served_and_in_force_nowhere_is_not_waited_for_long() -> None:
    planner = make_planner(persisted=1)
    for name in KNOWN:
        planner.on_report(Report(name, 1, serves=((Epoch(1, 1), "gone"),)), 0.0)
    assert keep_alive(planner, KNOWN, 1, 10) == []
    (plan,) = proposed(keep_alive(planner, KNOWN, 10, 11))
    assert plan.epoch == Epoch(2, 1)


def test_an_operator_does_not_wait_for_the_plan_that_satellites_serve() -> None:
    planner = make_planner(persisted=1)
    for name in KNOWN:
        planner.on_report(Report(name, 1, serves=((Epoch(1, 1), "gone"),)), 0.0)
    (plan,) = proposed(planner.on_replan("an operator asks for it", 1.0))
    assert plan.epoch == Epoch(2, 1)


def test_a_good_active_plan_of_another_planner_is_left_alone() -> None:
    planner = make_planner()
    planner.on_active(make_plan(5, ("sat3", 2), ("sat4", BLOCKS), planner_id="/another"), 0.0)
    assert keep_alive(planner, KNOWN, 0, 100) == []


def test_too_few_alive_is_infeasible_until_one_returns() -> None:
    planner = make_planner()
    flying(planner)
    assert proposed(keep_alive(planner, KNOWN[:1], 1, 20)) == [] and planner.infeasible
    (plan,) = proposed(hear(planner, "sat4", now_s=20.0))
    assert plan.satellites == ("sat1", "sat4") and not planner.infeasible


def test_a_proposal_that_is_not_committed_is_made_again_under_a_new_epoch() -> None:
    planner = make_planner()
    (first,) = proposed(hear(planner, *KNOWN))
    assert proposed(keep_alive(planner, KNOWN, 1, 30)) == []
    (second,) = proposed(keep_alive(planner, KNOWN, 30, 32))
    assert second.stages == first.stages and second.epoch == Epoch(1, 2)


def test_a_refusal_is_answered_with_patience() -> None:
    planner = make_planner()
    (first,) = proposed(hear(planner, *KNOWN))
    refusal = Report("sat1", 1, plan_key(first), Readiness.REFUSED, "no memory")
    assert planner.on_report(refusal, 1.0) == []
    assert len(proposed(keep_alive(planner, KNOWN, 1, 32))) == 1


def test_an_operator_gets_a_new_plan_at_once() -> None:
    planner = make_planner()
    flying(planner)
    (plan,) = proposed(planner.on_replan("asked to", 2.0))
    assert plan.epoch == Epoch(1, 2)


def test_the_planner_of_the_greater_id_yields_for_a_while() -> None:
    for planner_id, plans in (("/z", 0), ("/a", 1)):
        planner = make_planner(planner_id)
        planner.on_proposal_seen(make_plan(1, planner_id="/m"), 0.0)
        assert len(proposed(hear(planner, *KNOWN))) == plans
    late = keep_alive(make_planner("/z"), KNOWN, 0, 1)
    assert len(proposed(late)) == 1


def test_a_replayed_proposal_of_the_lesser_id_silences_no_planner() -> None:
    planner, old = make_planner("/z"), make_plan(1, ("sat1", 4), ("sat2", BLOCKS), planner_id="/m")
    hear(planner, *KNOWN)
    planner.on_active(old, 0.0)
    planner.on_proposal_seen(old, 1.0)
    assert proposed(keep_alive(planner, KNOWN[1:], 1, 8)), "the satellite that died is planned around"


def test_a_plan_committed_over_its_head_raises_the_next_incarnation() -> None:
    planner = make_planner()
    flying(planner)
    planner.on_active(make_plan(1, incarnation=6, planner_id="/another"), 2.0)
    persist, propose = planner.on_replan("asked to", 3.0)
    assert persist == PersistIncarnation(7) and propose.plan.epoch == Epoch(7, 1)


def judged(worth: list[bool]) -> PlannerProtocol:
    """A planner whose judge answers with the last entry, told of an active plan on sat3 and sat4."""
    planner = PlannerProtocol("/planner", KNOWN, split, LIMITS, judge=lambda draft, flying: worth[-1])
    planner.start(0.0)
    planner.on_active(make_plan(5, ("sat3", 2), ("sat4", BLOCKS), planner_id="/another"), 0.0)
    assert hear(planner, *KNOWN) == []
    return planner


def test_changed_costs_move_the_plan_only_where_the_judge_says_so() -> None:
    worth = [False]
    planner = judged(worth)
    assert planner.on_costs("sat3 is slow", 10.0) == []
    assert keep_alive(planner, KNOWN, 10, 12) == []
    worth.append(True)
    (plan,) = proposed(planner.on_costs("sat3 is slower", 12.0))
    assert plan.satellites == ("sat1", "sat2") and plan.epoch == Epoch(2, 1)


def test_the_judge_has_no_say_where_a_member_is_dead_or_an_operator_asks() -> None:
    planner = judged([False])
    assert len(proposed(planner.on_replan("asked to", 1.0))) == 1
    planner = judged([False])
    assert len(proposed(keep_alive(planner, KNOWN[:3], 1, 8))) == 1


def test_changed_costs_wait_for_what_is_under_way_and_for_the_dust_to_settle() -> None:
    planner = judged([True])
    assert planner.on_costs("too soon", LIMITS.settle_s - 0.1) == []
    (plan,) = proposed(planner.on_costs("slow", 6.0))
    assert planner.on_costs("slower", 20.0) == []
    planner.on_active(plan, 20.0)
    planner.on_costs("slower", 30.0)
    # The same split again is no move.
    assert keep_alive(planner, KNOWN, 30, 32) == []


def test_changed_costs_may_explain_a_refusal() -> None:
    planner = judged([True])
    (plan,) = proposed(planner.on_costs("slow", 6.0))
    planner.on_report(Report("sat1", 1, plan_key(plan), Readiness.REFUSED, "no memory"), 7.0)
    (again,) = proposed(planner.on_costs("sat1 has less memory", 12.0))
    assert again.epoch == Epoch(2, 2)


def test_a_satellite_that_is_seen_to_start_is_waited_for_longer() -> None:
    planner = make_planner()
    planner.on_starting(["sat1"])
    assert keep_alive(planner, KNOWN[1:], 0, int(LIMITS.starting_s)) == []
    (plan,) = proposed(keep_alive(planner, KNOWN[1:], int(LIMITS.starting_s), int(LIMITS.starting_s) + 2))
    assert plan.satellites == ("sat2", "sat3") and planner.unheard == ("sat1",)


def test_a_run_that_is_gone_on_with_waits_for_the_satellites_of_its_plan() -> None:
    planner = make_planner()
    planner.on_active(make_plan(1), 0.0)
    members = planner.active.members
    planner.on_starting(KNOWN)
    assert keep_alive(planner, [], 0, int(LIMITS.start_s) + 5) == []
    heard = sorted(members)[:1]
    assert keep_alive(planner, heard, int(LIMITS.start_s) + 5, int(LIMITS.start_s) + 8) == []
    # Now another of its satellites is dead, as far as was heard: nobody is waited for.
    others = [name for name in KNOWN if name not in heard]
    assert proposed(keep_alive(planner, others, int(LIMITS.start_s) + 8, int(LIMITS.starting_s)))


def test_a_reported_epoch_is_believed_up_to_a_jump_only() -> None:
    planner = make_planner()
    claims = (Epoch(MAX_EPOCH, 1), Epoch(2**64 - 1, 2**64 - 1), Epoch(EPOCH_JUMP + 1, 0))
    for epoch in claims:
        planner.on_report(Report("sat1", 1, (epoch, "f" * 16), Readiness.READY), 0.0)
    (plan,) = proposed(hear(planner, *KNOWN))
    assert plan.epoch == Epoch(1, 1)


def test_no_plan_can_follow_the_last_epoch_and_that_is_said() -> None:
    planner = make_planner()
    planner.on_proposal_seen(make_plan(1, incarnation=MAX_EPOCH, planner_id="/z"), 0.0)
    assert hear(planner, *KNOWN) == [] and planner.exhausted


def test_a_flood_of_rising_reports_does_not_make_a_flood_of_plans() -> None:
    planner = make_planner()
    hear(planner, *KNOWN)
    proposals = []
    for i in range(100):
        report = Report("sat1", 1, (Epoch(2 + i, 1), "f" * 16), Readiness.READY)
        proposals += proposed(planner.on_report(report, 0.1 * i))
    assert len(proposals) <= 10
