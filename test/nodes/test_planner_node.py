"""The planner over DDS, among scripted satellites: when it proposes, what, and what it says instead."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.client import Client
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter as RosParameter
from scripted_satellites import ROOT, Satellite, Script, Stand
from std_srvs.srv import Trigger

from satllm_ros import msg as m
from satllm_ros.assets.paths import checkpoint_path
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes.planner import PlannerNode
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.plan import MAX_EPOCH, Plan
from satllm_ros.signing.signing import check_signature, load_signing_key, make_key_file, parse_public_key, sign

NAMES = ("sat1", "sat2", "sat3")
MODEL_BYTES = sum(read_spec(checkpoint_path("demo")).layer_bytes)
STAMP = m.Plan().header.stamp


@pytest.fixture
def stand(context: rclpy.Context) -> Iterator[Stand]:
    made = Stand(context, Script(context, {name: Satellite() for name in NAMES}))
    yield made
    made.close()


@pytest.fixture
def make(context: rclpy.Context, tmp_path: Path) -> Callable[..., PlannerNode]:
    def make_planner(name: str = "planner", **parameters: Any) -> PlannerNode:
        values = {"satellites": list(NAMES), "state_directory": str(tmp_path), "start_s": 60.0} | parameters
        return PlannerNode(
            context=context,
            namespace=ROOT,
            parameter_overrides=[RosParameter(key, value=value) for key, value in values.items()],
            cli_args=["--ros-args", "-r", f"__node:={name}"],
        )

    return make_planner


def blocks_of(plan: Plan) -> dict[str, int]:
    return {stage.satellite: stage.stop - stage.start for stage in plan.stages}


def flying(stand: Stand, planner: PlannerNode) -> Plan:
    """The first plan, once the planner knows that it was committed."""
    stand.add(planner)
    plan = committed(stand, 1)
    stand.until(lambda: stand.script.told("planner", "active") == str(plan.epoch), "the commit heard")
    return plan


def committed(stand: Stand, count: int) -> Plan:
    stand.until(lambda: len(stand.script.committed) >= count, f"plan number {count}")
    return stand.script.committed[count - 1]


def test_a_satellite_four_times_slower_gets_fewer_blocks(
    stand: Stand, make: Callable[..., PlannerNode], tmp_path: Path
) -> None:
    first = flying(stand, make())
    assert first.epoch == Epoch(1, 1) and (tmp_path / "planner.incarnation").read_text() == "1\n"
    stand.script.satellites["sat2"].block_s *= 4
    second = committed(stand, 2)
    assert second.epoch == Epoch(1, 2)
    assert blocks_of(second).get("sat2", 0) < blocks_of(first)["sat2"]
    stand.until(lambda: "leave plan 1.1" in stand.script.told("planner", "decision"), "the decision")


def test_jitter_moves_nothing(stand: Stand, make: Callable[..., PlannerNode]) -> None:
    draw = random.Random(1)
    for satellite in stand.script.satellites.values():
        satellite.jitter = lambda: draw.uniform(0.95, 1.05)
    heard: list[Any] = []
    stand.script.create_subscription(m.Ledger, f"{ROOT}/ledger", heard.append, 10)
    flying(stand, make())
    heard.clear()
    stand.until(lambda: len(heard) >= 60, "sixty rounds of reports")
    assert len(stand.script.proposals) == 1


def test_less_memory_is_obeyed(stand: Stand, make: Callable[..., PlannerNode]) -> None:
    spec = read_spec(checkpoint_path("demo"))
    first = flying(stand, make())
    held = sum(spec.layer_bytes[first.stages[0].start : first.stages[0].stop])
    stand.script.satellites["sat1"].memory_bytes = held - 1
    second = committed(stand, 2)
    stage = second.stage_of("sat1")
    assert stage is None or sum(spec.layer_bytes[stage.start : stage.stop]) < held
    stand.until(lambda: "no longer has the memory" in stand.script.told("planner", "decision"), "the decision")


def test_a_slower_link_is_weighed_and_the_decision_told(stand: Stand, make: Callable[..., PlannerNode]) -> None:
    first = flying(stand, make())

    def slow() -> bool:
        stand.script.links.publish(m.LinkState(sender="sat1", receiver="sat2", up=True, rate_bps=1e6))
        return bool(stand.script.told("planner", "decision"))

    stand.until(slow, "a decision")
    decision = stand.script.told("planner", "decision")
    assert decision.startswith((f"stay with plan {first.epoch}", f"leave plan {first.epoch}"))


def test_a_silent_member_is_planned_around_and_planned_in_again(stand: Stand, make: Callable[..., PlannerNode]) -> None:
    flying(stand, make())
    stand.script.satellites["sat3"].silent = True
    around = committed(stand, 2)
    assert "sat3" not in around.members
    stand.script.satellites["sat3"].silent = False
    stand.script.satellites["sat3"].boot_id = 2
    assert "sat3" in committed(stand, 3).members
    stand.until(lambda: "gains" in stand.script.told("planner", "decision"), "the decision")


def test_who_starts_late_is_planned_around_then_in(stand: Stand, make: Callable[..., PlannerNode]) -> None:
    stand.script.satellites["sat2"].silent = True
    first = flying(stand, make(start_s=1.0))
    assert first.members == {"sat1", "sat3"}
    stand.script.satellites["sat2"].silent = False
    assert committed(stand, 2).members == set(NAMES)


def test_who_says_hello_and_no_more_yet_is_waited_for(stand: Stand, make: Callable[..., PlannerNode]) -> None:
    # Its model is being imported; what the graph calls its nodes says nothing.
    stand.script.satellites["sat2"].starting = True
    planner = make(start_s=1.0)
    stand.add(planner)
    stand.until(lambda: planner.state == "active" and "sat2" in planner._hello.present(), "the hello of sat2")
    heard_in = stand.script.rounds
    stand.until(lambda: stand.script.rounds > heard_in + 30, "more than start_s of rounds")
    assert not stand.script.proposals
    stand.script.satellites["sat2"].starting = False
    assert committed(stand, 1).members == set(NAMES)


def test_without_a_feasible_split_it_says_why_and_plans_when_memory_returns(
    stand: Stand, make: Callable[..., PlannerNode]
) -> None:
    for satellite in stand.script.satellites.values():
        satellite.memory_bytes = MODEL_BYTES // 8
    stand.add(make())
    stand.until(lambda: "memory is too small" in stand.script.told("planner"), "the reason")
    assert stand.script.level("planner") == DiagnosticStatus.ERROR
    assert not stand.script.proposals
    client: Client[Any, Any] = stand.script.create_client(Trigger, f"{ROOT}/replan")
    answer = client.call_async(Trigger.Request())
    stand.until(answer.done, "the answer")
    assert not answer.result().success and "memory is too small" in answer.result().message
    stand.script.satellites["sat3"].memory_bytes = MODEL_BYTES
    assert "sat3" in committed(stand, 1).members
    stand.until(lambda: stand.script.level("planner") == DiagnosticStatus.OK, "all well")


def test_the_next_life_starts_above_the_last_one(stand: Stand, make: Callable[..., PlannerNode]) -> None:
    planner = make()
    flying(stand, planner)
    stand.kill(planner)
    stand.script.diagnostics.clear()
    stand.add(make())
    stand.until(lambda: stand.script.told("planner", "active") == "1.1", "the plan in force heard")
    stand.until(lambda: "stay with plan 1.1" in stand.script.told("planner", "decision"), "a first look")
    client: Client[Any, Any] = stand.script.create_client(Trigger, f"{ROOT}/replan")
    answer = client.call_async(Trigger.Request())
    stand.until(answer.done, "the answer")
    assert answer.result().success and answer.result().message.startswith("plan 2.1 proposed")
    assert committed(stand, 2).epoch == Epoch(2, 1)


def test_a_life_with_lost_state_starts_above_what_is_heard(
    stand: Stand, make: Callable[..., PlannerNode], tmp_path: Path
) -> None:
    planner = make()
    flying(stand, planner)
    stand.kill(planner)
    (tmp_path / "planner.incarnation").unlink()
    stand.add(make())
    stand.script.satellites["sat2"].block_s *= 10
    assert committed(stand, 2).epoch == Epoch(2, 1)


@pytest.mark.parametrize("content", ["abc", "-1", str(MAX_EPOCH + 1), ""])
def test_a_broken_state_file_is_told_at_configure(
    make: Callable[..., PlannerNode], tmp_path: Path, content: str
) -> None:
    (tmp_path / "planner.incarnation").write_text(content)
    planner = make(autostart=False)
    assert planner.trigger_configure() is TransitionCallbackReturn.FAILURE
    assert planner.counters["configure_failed"] == 1
    planner.destroy_node()


def test_two_planners_keep_one_rising_line_of_epochs(stand: Stand, make: Callable[..., PlannerNode]) -> None:
    planners = [make(name) for name in ("planner", "planner_b")]
    for planner in planners:
        stand.add(planner)
    first = committed(stand, 1)
    assert first.planner_id in (f"{ROOT}/planner", f"{ROOT}/planner_b")
    stand.script.satellites["sat3"].silent = True
    stand.until(lambda: "sat3" not in stand.script.committed[-1].members, "a plan without sat3")
    stand.until(
        lambda: all(
            stand.script.told(p.get_name(), "active") == str(stand.script.committed[-1].epoch) for p in planners
        ),
        "both to hear it",
    )
    epochs = [plan.epoch for plan in stand.script.committed]
    assert epochs == sorted(set(epochs))


def test_a_refused_plan_is_told_and_followed_by_another_when_facts_change(
    stand: Stand, make: Callable[..., PlannerNode]
) -> None:
    flying(stand, make())
    stand.script.commits, stand.script.refusal = False, "no memory to spare"
    stand.script.satellites["sat2"].block_s *= 4
    stand.until(lambda: "no memory to spare" in stand.script.told("planner"), "the refusal")
    stand.script.commits, stand.script.refusal = True, ""
    stand.script.satellites["sat2"].block_s *= 4
    assert committed(stand, 2).epoch == Epoch(1, 3)
    stand.until(lambda: stand.script.level("planner") == DiagnosticStatus.OK, "all well")


def test_hostile_reports_and_unsigned_plans_do_not_drive_its_epochs(
    stand: Stand, make: Callable[..., PlannerNode], tmp_path: Path
) -> None:
    public = make_key_file(tmp_path / "key.pem")
    planner = make(plan_public_key=public, signing_key=str(tmp_path / "key.pem"))
    first = flying(stand, planner)
    check_signature(first, parse_public_key(public))
    forged = replace(first, epoch=Epoch(MAX_EPOCH, 1), signature=b"").sealed()
    other_key = tmp_path / "other.pem"
    make_key_file(other_key)
    for plan in (forged, sign(forged, load_signing_key(other_key))):
        before = planner.counters["plan_forged"]
        stand.script.active.publish(convert.plan_to(plan, STAMP))
        stand.until(lambda: planner.counters["plan_forged"] > before, "the forgery counted")  # noqa: B023
    stand.script.claim = Epoch(MAX_EPOCH, 1)
    stand.script.satellites["sat2"].block_s *= 4
    assert committed(stand, 2).epoch == Epoch(1, 2)


@pytest.mark.parametrize(
    "wrong", [{"satellite": "sat2"}, {"block_s": float("nan")}, {"block_s": -1.0}, {"readiness": 9}]
)
def test_statuses_that_make_no_sense_are_counted(
    stand: Stand, make: Callable[..., PlannerNode], wrong: dict[str, Any]
) -> None:
    planner = make()
    flying(stand, planner)
    stand.script.satellites["sat1"].silent = True
    status = stand.script.status("sat1")
    for field, value in wrong.items():
        setattr(status, field, value)
    stand.script.statuses["sat1"].publish(status)
    stand.until(lambda: planner.counters["malformed_status"], "it counted")


def test_a_satellite_of_another_model_is_not_planned_with_until_it_flies_ours(
    stand: Stand, make: Callable[..., PlannerNode]
) -> None:
    stray = stand.script.satellites["sat2"]
    ours, stray.model_id = stray.model_id, "fedcba9876543210"
    planner = make(start_s=1.0)
    stand.add(planner)
    assert committed(stand, 1).members == {"sat1", "sat3"}
    sentence = f"not planned with: sat2 flies model 'fedcba9876543210', ours is {ours!r}"
    stand.until(lambda: stand.script.told("planner") == sentence, "the sentence")
    assert stand.script.level("planner") == DiagnosticStatus.WARN and planner.counters["foreign_status"]
    # Started anew with the right checkpoint.
    stray.model_id, stray.boot_id = ours, 2
    assert committed(stand, 2).members == set(NAMES)
    stand.until(lambda: stand.script.level("planner") == DiagnosticStatus.OK, "all well")


def test_a_member_that_comes_back_with_another_model_is_planned_around(
    stand: Stand, make: Callable[..., PlannerNode]
) -> None:
    flying(stand, make())
    stand.script.satellites["sat2"].model_id, stand.script.satellites["sat2"].boot_id = "x\n" * 500, 2
    assert "sat2" not in committed(stand, 2).members
    stand.until(lambda: "sat2 flies model 'x\\n" in stand.script.told("planner"), "the sentence")
    assert stand.script.told("planner").isprintable() and len(stand.script.told("planner")) < 200


def test_a_ledger_that_does_not_add_up_is_counted_and_planned_without(
    stand: Stand, make: Callable[..., PlannerNode]
) -> None:
    planner = make()
    stand.script.ledger.acquired_tiles, stand.script.ledger.in_flight_tiles = 10, 9
    stand.add(planner)
    stand.until(lambda: planner.counters["malformed_ledger"], "it counted")
    assert not stand.script.proposals
    stand.script.ledger.waiting_tiles = 1
    committed(stand, 1)


def test_a_public_key_without_its_private_half_is_refused(make: Callable[..., PlannerNode], tmp_path: Path) -> None:
    public = make_key_file(tmp_path / "key.pem")
    make_key_file(tmp_path / "other.pem")
    for signing_key in ("", str(tmp_path / "other.pem")):
        planner = make(autostart=False, plan_public_key=public, signing_key=signing_key)
        assert planner.trigger_configure() is TransitionCallbackReturn.FAILURE
        planner.destroy_node()
