import dataclasses
import math

import pytest
from flight_plans import BLOCKS, KNOWN, MODEL_ID, ORIGIN, make_plan

from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.plan import Plan, PlanError, Stage, check_plan

GOOD = make_plan(1, ("sat1", 3), ("sat2", 5), ("sat3", BLOCKS))


def with_stages(*parts: tuple[str, int, int]) -> Plan:
    stages = tuple(Stage(name, start, stop, CodecSetting(Codec.INT8)) for name, start, stop in parts)
    return dataclasses.replace(GOOD, stages=stages).sealed()


def test_a_good_plan_is_accepted() -> None:
    check_plan(GOOD, **ORIGIN)


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (dataclasses.replace(GOOD, epoch=Epoch(0, 0)).sealed(), r"epoch 0\.0"),
        (dataclasses.replace(GOOD, epoch=Epoch(0, 5)).sealed(), r"epoch 0\.5"),
        (dataclasses.replace(GOOD, epoch=Epoch(3, 0)).sealed(), r"epoch 3\.0"),
        (dataclasses.replace(GOOD, plan_hash="feedfeedfeedfeed"), "feedfeedfeedfeed.*" + GOOD.plan_hash),
        (dataclasses.replace(GOOD, model_id="f" * 16).sealed(), f"'{'f' * 16}'.*{MODEL_ID}"),
        (with_stages(), "no stages"),
        (with_stages(("sat1", 0, 4), ("sat9", 4, 8)), "'sat9'; known are sat1, sat2, sat3, sat4"),
        (with_stages(("sat1", 1, 4), ("sat2", 4, 8)), r"sat1 blocks \(1, 4\].*next block is 1"),
        (with_stages(("sat1", 0, 4), ("sat2", 5, 8)), r"sat2 blocks \(5, 8\].*next block is 5"),
        (with_stages(("sat1", 0, 4), ("sat2", 3, 8)), r"sat2 blocks \(3, 8\].*next block is 5"),
        (with_stages(("sat1", 0, 4), ("sat2", 4, 4), ("sat3", 4, 8)), r"sat2 blocks \(4, 4\].*at least one block"),
        (with_stages(("sat1", 0, 4), ("sat2", 4, 7)), "ends at block 7, the model has 8"),
        (with_stages(("sat1", 0, 4), ("sat2", 4, 9)), "ends at block 9, the model has 8"),
        (with_stages(("sat1", 0, 4), ("sat1", 4, 8)), "a satellite twice"),
        (dataclasses.replace(GOOD, predicted_cycle_s=math.inf).sealed(), "inf s between batches"),
        (dataclasses.replace(GOOD, predicted_cycle_s=math.nan).sealed(), "nan s between batches"),
        (dataclasses.replace(GOOD, predicted_cycle_s=-1.0).sealed(), "-1.0 s between batches"),
        (dataclasses.replace(GOOD, downlink="base").sealed(), "downlinks from 'base'"),
        (dataclasses.replace(GOOD, accuracy_floor=1.01).sealed(), "floor 1.01"),
        (dataclasses.replace(GOOD, accuracy_floor=-0.01).sealed(), "floor -0.01"),
        (dataclasses.replace(GOOD, accuracy_floor=math.nan).sealed(), "floor nan"),
    ],
)
def test_a_plan_that_must_not_fly_is_refused_with_a_sentence(plan: Plan, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        check_plan(plan, **ORIGIN)


def obeyed_changes() -> dict[str, Plan]:
    """The good plan with each obeyed fact changed, each in one place."""
    first = GOOD.stages[0]
    stages = {
        "stage satellite": dataclasses.replace(first, satellite="sat4"),
        "stage start": dataclasses.replace(first, start=1),
        "stage stop": dataclasses.replace(first, stop=2),
        "stage setting": dataclasses.replace(first, setting=CodecSetting(Codec.RAW)),
    }
    changed = {what: dataclasses.replace(GOOD, stages=(stage, *GOOD.stages[1:])) for what, stage in stages.items()}
    values = {
        "epoch": Epoch(1, 2),
        "planner_id": "/other",
        "model_id": "f" * 16,
        "source": "camera",
        "stages": GOOD.stages[:2],
        "downlink": "sat1",
        "accuracy_floor": 0.5,
        "predicted_cycle_s": 0.5,
    }
    return changed | {name: dataclasses.replace(GOOD, **{name: value}) for name, value in values.items()}


def test_the_hash_covers_everything_obeyed() -> None:
    digests = {what: plan.digest() for what, plan in obeyed_changes().items()}
    assert GOOD.plan_hash not in digests.values()
    assert len(set(digests.values())) == len(digests)
    swapped = dataclasses.replace(GOOD, epoch=Epoch(2, 1)).digest()
    assert swapped != dataclasses.replace(GOOD, epoch=Epoch(1, 2)).digest()


def test_every_field_is_either_hashed_or_meant_for_people() -> None:
    informs = {"predicted_makespan_s", "predicted_paper_s", "explanation", "plan_hash", "signature"}
    hashed = {name.split()[0] for name in obeyed_changes() if not name.startswith("stage ")}
    assert {field.name for field in dataclasses.fields(Plan)} == informs | hashed


def test_what_informs_people_does_not_change_the_hash() -> None:
    explained = dataclasses.replace(GOOD, explanation="because", predicted_makespan_s=9.0, predicted_paper_s=1.0)
    assert explained.digest() == GOOD.plan_hash


def test_hops_follow_the_order_of_the_stages() -> None:
    assert [GOOD.next_hop(name) for name in ("sat1", "sat2", "sat3")] == ["sat2", "sat3", None]
    assert GOOD.stage_of("sat4") is None
    apart = dataclasses.replace(GOOD, downlink="sat4").sealed()
    assert apart.members == frozenset(KNOWN)
