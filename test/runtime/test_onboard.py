import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from satllm_ros.compression.setting import Codec, CodecSetting
from satllm_ros.model.spec import read_spec
from satllm_ros.runtime.identity import Epoch
from satllm_ros.runtime.onboard import Onboard
from satllm_ros.runtime.plan import Plan, Stage
from satllm_ros.runtime.plan_switch import Entry, PlanTable, Readiness
from satllm_ros.runtime.submodels import SubModels

PATIENCE_S = 60.0
INT8, RAW = CodecSetting(Codec.INT8), CodecSetting(Codec.RAW)


class Satellite:
    """sat1's board, with the statuses it would have sent."""

    def __init__(self, checkpoint: Path, *, budget_bytes: int = 10**9) -> None:
        self.spec = read_spec(checkpoint)
        self.submodels = SubModels(checkpoint, self.spec, memory_budget_bytes=budget_bytes, block_s=None, threads=1)
        self.table = PlanTable("sat1", model_id=self.spec.model_id, blocks=3, known=("sat1", "sat2"))
        self.onboard = Onboard()
        self.onboard.open(self.table, self.submodels)
        self.changed = threading.Condition()
        self.said: list[Readiness] = []
        self.onboard.on_change = self._note

    def _note(self) -> None:
        with self.changed:
            self.said.append(self.table.readiness)
            self.changed.notify_all()

    def plan(self, counter: int, cut: int, **changes: float) -> Plan:
        stages = (Stage("sat1", 0, cut, INT8), Stage("sat2", cut, 3, INT8))
        plan = Plan(Epoch(1, counter), "/planner", self.spec.model_id, "sensing", stages, "sat2", **changes)
        return plan.sealed()

    def take(self, plan: Plan, *, until: Readiness = Readiness.READY) -> None:
        self.onboard.take_plan(plan)
        with self.changed:
            assert self.changed.wait_for(
                lambda: (self.table.proposed, self.table.readiness) == (plan.epoch, until), PATIENCE_S
            )

    def serves(self, plan: Plan, low_water: Epoch = Epoch(1, 1)) -> bool:  # noqa: B008
        return self.onboard.entry(plan.epoch, plan.plan_hash, low_water) is not None


@pytest.fixture
def sat(checkpoint: Path) -> Iterator[Satellite]:
    made = Satellite(checkpoint)
    yield made
    made.onboard.close()


def test_a_plan_is_loaded_reported_and_served(sat: Satellite) -> None:
    plan = sat.plan(1, 2)
    assert not sat.serves(plan)
    sat.take(plan)
    assert sat.said == [Readiness.LOADING, Readiness.READY]
    entry = sat.onboard.entry(plan.epoch, plan.plan_hash, plan.epoch)
    assert entry is not None and entry.stage == plan.stages[0]
    assert sat.submodels.memory_bytes >= sum(sat.spec.layer_bytes[:2])


def test_the_low_water_of_a_batch_frees_older_sub_models(sat: Satellite) -> None:
    old, new = sat.plan(1, 2), sat.plan(2, 1)
    sat.take(old)
    sat.take(new)
    both = sat.submodels.memory_bytes
    assert sat.serves(new, low_water=old.epoch)
    assert sat.submodels.memory_bytes == both
    assert sat.serves(new, low_water=new.epoch)
    assert sat.submodels.memory_bytes < both
    assert not sat.serves(old)


def test_a_batch_of_an_unknown_plan_frees_nothing(sat: Satellite) -> None:
    old, new = sat.plan(1, 2), sat.plan(2, 1)
    sat.take(old)
    sat.take(new)
    both = sat.submodels.memory_bytes
    assert sat.onboard.entry(new.epoch, "f" * 16, new.epoch) is None
    assert sat.submodels.memory_bytes == both
    assert sat.serves(old)


def test_a_damaged_low_water_does_not_free_what_the_batch_itself_needs(sat: Satellite) -> None:
    active, proposed = sat.plan(1, 2), sat.plan(2, 1)
    sat.take(active)
    sat.take(proposed)
    assert sat.serves(active, low_water=Epoch(2**63, 0))
    assert sat.serves(active)
    inputs = sat.submodels.prepare_images(np.zeros((1, 16, 16, 3), dtype=np.uint8))
    assert sat.submodels.run(0, 2, inputs, threading.Event())[0].shape[0] == 1


def test_a_load_that_fails_is_refused_with_its_reason(checkpoint: Path) -> None:
    spec = read_spec(checkpoint)
    sat = Satellite(checkpoint, budget_bytes=spec.layer_bytes[0])
    sat.take(sat.plan(1, 1))
    large = sat.plan(2, 2)
    sat.take(large, until=Readiness.REFUSED)
    assert "blocks (0, 2] need" in sat.table.reason
    assert not sat.serves(large)
    assert sat.serves(sat.plan(1, 1))
    sat.onboard.close()


def test_blocks_that_arrive_after_the_batches_moved_on_are_freed(sat: Satellite) -> None:
    first, late, current = sat.plan(1, 1), sat.plan(2, 2), sat.plan(3, 1)
    sat.take(first)
    before = sat.submodels.memory_bytes
    entered, release = threading.Event(), threading.Event()
    load = sat.submodels._load

    def slow_load(start: int, stop: int) -> None:
        entered.set()
        assert release.wait(PATIENCE_S)
        load(start, stop)

    sat.submodels._load = slow_load
    sat.onboard.take_plan(late)
    assert entered.wait(PATIENCE_S)
    sat.onboard.take_plan(current)
    assert sat.serves(current, low_water=current.epoch)
    said = len(sat.said)
    release.set()
    with sat.changed:
        assert sat.changed.wait_for(lambda: len(sat.said) > said, PATIENCE_S)
    assert sat.table.epochs == [current.epoch]
    assert sat.submodels.memory_bytes == before


def test_the_operators_setting_wins_until_released(sat: Satellite) -> None:
    plan = sat.plan(1, 2)
    entry = Entry(plan, plan.stages[0])
    assert sat.onboard.setting_for(entry) == INT8
    sat.onboard.pin(RAW, accuracy=0.9)
    assert sat.onboard.setting_for(entry) == RAW
    sat.onboard.pin(None, accuracy=1.0)
    assert sat.onboard.setting_for(entry) == INT8


def test_a_pin_that_breaks_a_plans_floor_is_not_in_force_under_it(sat: Satellite) -> None:
    sat.onboard.pin(RAW, accuracy=0.7)
    assert sat.onboard.is_pinned
    loose, strict = sat.plan(1, 2, accuracy_floor=0.6), sat.plan(2, 2, accuracy_floor=0.8)
    assert sat.onboard.setting_for(Entry(loose, loose.stages[0])) == RAW
    assert sat.onboard.setting_for(Entry(strict, strict.stages[0])) == INT8
    sat.take(strict)
    assert not sat.onboard.is_pinned


def test_the_floor_is_the_newest_plans(sat: Satellite) -> None:
    assert sat.onboard.accuracy_floor == 0.0
    sat.take(sat.plan(1, 2, accuracy_floor=0.8))
    sat.take(sat.plan(2, 2, accuracy_floor=0.6))
    assert sat.onboard.accuracy_floor == 0.6


def test_a_closed_board_takes_and_serves_nothing(sat: Satellite) -> None:
    plan = sat.plan(1, 2)
    sat.take(plan)
    sat.onboard.close()
    said = list(sat.said)
    sat.onboard.take_plan(plan)
    assert not sat.serves(plan)
    assert (sat.said, sat.submodels.memory_bytes) == (said, 0)
