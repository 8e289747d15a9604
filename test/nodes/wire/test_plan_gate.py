"""What may pass the gate of plans: what is wrong first decides, and is counted by its cause."""

from dataclasses import replace
from pathlib import Path

import pytest
from builtin_interfaces.msg import Time

from satllm_ros.assets.paths import checkpoint_path
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes.base.diagnostic_keys import BAD_PLAN, PLAN_FORGED
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire.plan_gate import PlanGate, PlanVerdict
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.plan import Plan, Stage
from satllm_ros.signing.signing import load_signing_key, make_key_file, sign

SPEC = read_spec(checkpoint_path("demo"))
PLAN = Plan(
    epoch=Epoch(1, 1),
    planner_id="planner",
    model_id=SPEC.model_id,
    source="sensing",
    stages=(Stage("sat1", 0, SPEC.blocks, CodecSetting.parse("raw")),),
    downlink="sat1",
).sealed()
# Of a satellite that nobody knows.
STRAY = replace(PLAN, downlink="sat9").sealed()


def judged(gate: PlanGate, plan: Plan) -> PlanVerdict:
    return gate.judge(convert.plan_to(plan, Time()))


def test_a_plan_that_can_be_flown_passes() -> None:
    verdict = judged(PlanGate(SPEC, ["sat1"], ""), PLAN)
    assert verdict == PlanVerdict(PLAN) and verdict.sound == PLAN


def test_a_plan_that_cannot_be_flown_is_known_and_not_sound() -> None:
    verdict = judged(PlanGate(SPEC, ["sat1"], ""), STRAY)
    assert (verdict.plan, verdict.sound, verdict.cause) == (STRAY, None, BAD_PLAN)
    assert "sat9" in verdict.reason


def test_what_cannot_be_read_is_no_plan() -> None:
    message = convert.plan_to(PLAN, Time())
    message.stages[0].setting.codec = 99
    verdict = PlanGate(SPEC, ["sat1"], "").judge(message)
    assert (verdict.plan, verdict.cause) == (None, BAD_PLAN) and verdict.reason


def test_nobody_asks_what_is_in_a_plan_that_is_not_signed(tmp_path: Path) -> None:
    gate = PlanGate(SPEC, ["sat1"], make_key_file(tmp_path / "key.pem"))
    make_key_file(tmp_path / "other.pem")
    key, other = load_signing_key(tmp_path / "key.pem"), load_signing_key(tmp_path / "other.pem")
    for forged in (PLAN, STRAY, sign(PLAN, other), replace(sign(PLAN, key), downlink="sat9").sealed()):
        verdict = judged(gate, forged)
        assert (verdict.plan, verdict.cause) == (None, PLAN_FORGED)
    assert judged(gate, sign(PLAN, key)).sound == sign(PLAN, key)
    assert judged(gate, sign(STRAY, key)).cause == BAD_PLAN


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        PlanGate(SPEC, ["sat1"], "beef")
