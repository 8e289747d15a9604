import threading
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.model.engines.torch_engine import TorchEngine
from satllm_ros.model.spec import read_spec
from satllm_ros.protocol.identity import BatchId, Envelope, Epoch
from satllm_ros.protocol.plan import Plan, Stage
from satllm_ros.protocol.satellite import Ignore, Refuse, SatelliteProtocol, Serve
from satllm_ros.protocol.signals import Report, SwitchState
from satllm_ros.protocol.vocabulary import Cause, Readiness, plan_key
from satllm_ros.satellite.external_blocks import BlocksState, ExternalBlocks, StageAnswer, StageOrder
from satllm_ros.satellite.satellite_state import SatelliteState
from satllm_ros.satellite.submodels import NotLoadedError, SubModels

PATIENCE_S = 120.0
PLENTY = 10**9
INT8, RAW = CodecSetting(Codec.INT8), CodecSetting(Codec.RAW)
READY, REFUSED, NEEDS_DRAIN = Readiness.READY, Readiness.REFUSED, Readiness.NEEDS_DRAIN


def sub_models(checkpoint: Path, budget_bytes: int) -> SubModels:
    spec = read_spec(checkpoint)
    engine = TorchEngine(checkpoint, spec, threads=1)
    return SubModels(engine, spec, memory_budget_bytes=budget_bytes, block_s=None, batch_tiles=2, share=1)


class Satellite:
    """sat1's state, with the reports it would have sent and what was loaded and dropped, in order."""

    def __init__(self, checkpoint: Path, *, budget_bytes: int = PLENTY, external: bool = False) -> None:
        self.spec = read_spec(checkpoint)
        self.submodels: SubModels | ExternalBlocks
        if external:
            self.submodels = ExternalBlocks(self.spec, 0.01, 7, self._hold)
        else:
            self.submodels = sub_models(checkpoint, budget_bytes)
        self.done: list[tuple[str, tuple[int, int]]] = []
        self._note_calls()
        self.satellite_state = SatelliteState()
        self.protocol = self.open(boot_id=7, budget_bytes=budget_bytes)
        self.changed = threading.Condition()
        self.said: list[Report] = []
        self.satellite_state.watch(self._note)

    def open(self, *, boot_id: int, budget_bytes: int = PLENTY) -> SatelliteProtocol:
        protocol = SatelliteProtocol(
            "sat1",
            boot_id,
            model_id=self.spec.model_id,
            layer_bytes=self.submodels.layer_bytes,
            known=("sat1", "sat2"),
            budget_bytes=budget_bytes,
        )
        self.satellite_state.open(protocol, self.submodels)
        return protocol

    def _hold(self, order: StageOrder) -> None:
        """The stage of somebody else: it holds at once what it is told to."""
        held = {blocks: (BlocksState.READY, "") for blocks in order.blocks}
        self.submodels.on_answer(StageAnswer(order.boot_id, order.number, order.model_id, held))

    def _note_calls(self) -> None:
        load, drop = self.submodels.load, self.submodels.drop
        self.submodels.load = lambda *args: (load(*args), self._note_done("load", args[:2]))
        self.submodels.drop = lambda *args: (drop(*args), self._note_done("drop", args))

    def _note_done(self, what: str, blocks: tuple[int, int]) -> None:
        with self.changed:
            self.done.append((what, blocks))
            self.changed.notify_all()

    def _note(self) -> None:
        with self.changed:
            self.said.append(self.satellite_state.protocol.report)
            self.changed.notify_all()

    def until(self, condition: Callable[[], object], what: str) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE_S), f"waited in vain for {what}; said {self.said}"

    def until_it_says(self, plan: Plan, readiness: Readiness) -> Report:
        wanted = (plan_key(plan), readiness)
        self.until(lambda: self.said and (self.said[-1].about, self.said[-1].readiness) == wanted, f"{wanted}")
        return self.said[-1]

    def plan(self, counter: int, cut: int, **changes: float) -> Plan:
        stages = (Stage("sat1", 0, cut, INT8), Stage("sat2", cut, 3, INT8))
        plan = Plan(Epoch(1, counter), "/planner", self.spec.model_id, "sensing", stages, "sat2", **changes)
        return plan.sealed()

    def propose(self, plan: Plan, until: Readiness = READY) -> Report:
        self.satellite_state.take_proposal(plan)
        return self.until_it_says(plan, until)

    def commit(self, plan: Plan) -> None:
        """Propose a plan and, once the satellite is ready for it, make it the active one."""
        self.propose(plan)
        self.satellite_state.take_active(plan)

    def batch(self, plan: Plan, low_water: Epoch = Epoch(1, 1), **changes: object) -> Serve | Refuse | Ignore:  # noqa: B008
        fields: dict[str, object] = {
            "batch": BatchId(9, 0),
            "sender": "sensing",
            "destination": "sat1",
            "epoch": plan.epoch,
            "plan_hash": plan.plan_hash,
            "low_water": low_water,
            "model_id": self.spec.model_id,
            "run_id": 8,
            "source_id": "bag",
            "frames": (1,),
            "tile_indices": (0,),
        }
        return self.satellite_state.on_batch(Envelope(**{**fields, **changes}), 0)

    def serves(self, plan: Plan, low_water: Epoch = Epoch(1, 1)) -> bool:  # noqa: B008
        return isinstance(self.batch(plan, low_water), Serve)

    def run(self, blocks: tuple[int, int]) -> np.ndarray:
        inputs = self.submodels.prepare_images(np.zeros((1, 16, 16, 3), dtype=np.uint8))
        return self.submodels.run(*blocks, inputs, threading.Event())[0]

    def size(self, *blocks: tuple[int, int]) -> int:
        return sum(sum(self.spec.layer_bytes[start:stop]) for start, stop in blocks)


@pytest.fixture
def make(checkpoint: Path) -> Iterator[Callable[..., Satellite]]:
    made: list[Satellite] = []

    def make_satellite(**options: object) -> Satellite:
        made.append(Satellite(checkpoint, **options))
        return made[-1]

    yield make_satellite
    for satellite in made:
        satellite.satellite_state.close()


@pytest.fixture
def sat(make: Callable[..., Satellite]) -> Satellite:
    return make()


@pytest.fixture
def tight(make: Callable[..., Satellite], checkpoint: Path) -> Satellite:
    """Room for blocks (0, 2], or for (0, 1], not for both."""
    layers = read_spec(checkpoint).layer_bytes
    return make(budget_bytes=sum(layers[:2]))


def test_a_plan_is_loaded_reported_and_served(sat: Satellite) -> None:
    plan = sat.plan(1, 2)
    assert sat.batch(plan) == Refuse(Cause.UNKNOWN_EPOCH)
    sat.propose(plan)
    assert [said.readiness for said in sat.said] == [Readiness.LOADING, READY]
    assert sat.said[-1].boot_id == 7 and sat.said[-1].serves == (plan_key(plan),)
    assert sat.batch(plan) == Serve(plan, plan.stages[0])
    assert sat.submodels.memory_bytes >= sat.size((0, 2))


def test_batches_that_are_not_for_it_or_of_no_plan_on_board_free_nothing(sat: Satellite) -> None:
    old, new = sat.plan(1, 2), sat.plan(2, 1)
    sat.commit(old)
    sat.commit(new)
    assert sat.batch(new, new.epoch, plan_hash="f" * 16) == Refuse(Cause.UNKNOWN_EPOCH)
    assert sat.batch(new, new.epoch, destination="sat2") == Ignore("misrouted")
    assert ("drop", (0, 2)) not in sat.done
    assert sat.serves(old) and sat.serves(new)


def test_the_low_water_of_a_batch_frees_older_sub_models(sat: Satellite) -> None:
    old, new = sat.plan(1, 2), sat.plan(2, 1)
    sat.commit(old)
    sat.commit(new)
    both = sat.submodels.memory_bytes
    assert sat.serves(new, low_water=old.epoch)
    assert sat.submodels.memory_bytes == both
    assert sat.serves(new, low_water=new.epoch)
    assert sat.submodels.memory_bytes < both
    assert not sat.serves(old)


def test_the_low_water_of_the_switch_frees_them_without_a_batch(sat: Satellite) -> None:
    old, new = sat.plan(1, 2), sat.plan(2, 1)
    sat.commit(old)
    sat.commit(new)
    sat.satellite_state.take_switch(SwitchState(low_water=new.epoch))
    with pytest.raises(NotLoadedError):
        sat.run((0, 2))
    assert sat.run((0, 1)).shape[0] == 1
    assert sat.said[-1].serves == (plan_key(new),)


def test_a_damaged_low_water_does_not_free_what_the_batch_itself_needs(sat: Satellite) -> None:
    active, proposed = sat.plan(1, 2), sat.plan(2, 1)
    sat.commit(active)
    sat.propose(proposed)
    assert sat.serves(active, low_water=Epoch(2**63, 0))
    assert sat.serves(active)
    assert sat.run((0, 2)).shape[0] == 1


def test_without_room_for_both_it_asks_for_a_drain_and_unloads_before_it_loads(tight: Satellite) -> None:
    old, new = tight.plan(1, 2), tight.plan(2, 1)
    tight.commit(old)
    report = tight.propose(new, until=NEEDS_DRAIN)
    assert report.serves == (plan_key(old),) and tight.serves(old)
    tight.satellite_state.take_switch(SwitchState(drained=plan_key(new), low_water=old.epoch))
    report = tight.until_it_says(new, READY)
    assert tight.done == [("load", (0, 2)), ("drop", (0, 2)), ("load", (0, 1))]
    assert report.serves == (plan_key(new),)
    assert tight.batch(old) == Refuse(Cause.UNKNOWN_EPOCH) and tight.serves(new)
    assert tight.submodels.memory_bytes < tight.size((0, 2))


def test_a_withdrawn_drain_brings_the_active_plan_back(tight: Satellite) -> None:
    old, new = tight.plan(1, 2), tight.plan(2, 1)
    tight.commit(old)
    tight.propose(new, until=NEEDS_DRAIN)
    tight.satellite_state.take_switch(SwitchState(drained=plan_key(new)))
    tight.until_it_says(new, READY)
    tight.satellite_state.take_switch(SwitchState(withdrawn=new.epoch))
    tight.until_it_says(old, READY)
    assert tight.serves(old) and not tight.serves(new)


def test_a_load_waits_for_the_run_of_what_it_replaces(tight: Satellite, monkeypatch: pytest.MonkeyPatch) -> None:
    from satllm_ros.model.stage import SubModel

    old, new = tight.plan(1, 2), tight.plan(2, 1)
    tight.commit(old)
    entered, loader_waits = threading.Event(), threading.Event()
    run_blocks, load, wait_for = SubModel.run_blocks, tight.submodels._load, tight.submodels._run_ended.wait_for
    running_at_load: list[int] = []

    def slow_run(self: SubModel, x: object) -> object:
        entered.set()
        assert loader_waits.wait(PATIENCE_S)
        return run_blocks(self, x)

    def noted_wait(condition: Callable[[], bool]) -> bool:
        loader_waits.set()
        return wait_for(condition)

    def noted_load(start: int, stop: int) -> None:
        running_at_load.append(tight.submodels._running[(0, 2)])
        load(start, stop)

    monkeypatch.setattr(SubModel, "run_blocks", slow_run)
    monkeypatch.setattr(tight.submodels, "_load", noted_load)
    monkeypatch.setattr(tight.submodels._run_ended, "wait_for", noted_wait)
    runner = threading.Thread(target=tight.run, args=((0, 2),), daemon=True)
    runner.start()
    assert entered.wait(PATIENCE_S)
    tight.propose(new, until=NEEDS_DRAIN)
    tight.satellite_state.take_switch(SwitchState(drained=plan_key(new)))
    with pytest.raises(NotLoadedError):
        tight.run((0, 2))
    tight.until_it_says(new, READY)
    runner.join(PATIENCE_S)
    assert not runner.is_alive() and running_at_load == [0]


@pytest.mark.parametrize("order", list(permutations(("take_active", "take_proposal", "take_switch"))))
def test_a_late_joiner_hears_all_at_once_in_any_order(sat: Satellite, order: tuple[str, ...]) -> None:
    active, proposed = sat.plan(1, 2), sat.plan(2, 1)
    heard = {
        "take_active": active,
        "take_proposal": proposed,
        "take_switch": SwitchState(low_water=active.epoch),
    }
    for name in order:
        getattr(sat.satellite_state, name)(heard[name])
    both = tuple(plan_key(plan) for plan in (active, proposed))
    sat.until(lambda: sat.said[-1].serves == both, "both plans to be served")
    assert (sat.said[-1].about, sat.said[-1].readiness) == (plan_key(proposed), READY)
    assert sat.serves(active) and sat.serves(proposed)


def test_a_load_that_fails_is_refused_with_its_reason_and_asked_again_at_the_next_plan(
    sat: Satellite, monkeypatch: pytest.MonkeyPatch
) -> None:
    active, large = sat.plan(1, 1), sat.plan(2, 2)
    sat.commit(active)
    load = sat.submodels._load

    def fail(start: int, stop: int) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(sat.submodels, "_load", fail)
    assert sat.propose(large, until=REFUSED).reason == "the disk is gone"
    assert sat.serves(active) and not sat.serves(large)
    monkeypatch.setattr(sat.submodels, "_load", load)
    sat.satellite_state.take_proposal(large)
    assert sat.said[-1].readiness is REFUSED, "the same plan again is no news"
    sat.propose(sat.plan(3, 2))
    assert sat.done == [("load", (0, 1)), ("load", (0, 2)), ("load", (0, 2))]


def test_an_error_without_words_is_a_reason_all_the_same(sat: Satellite, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(start: int, stop: int) -> None:
        raise MemoryError

    monkeypatch.setattr(sat.submodels, "_load", fail)
    assert sat.propose(sat.plan(1, 2), until=REFUSED).reason == "MemoryError()"


def test_what_never_fits_is_refused_with_figures_and_not_loaded(make: Callable[..., Satellite]) -> None:
    sat = make(budget_bytes=1000)
    report = sat.propose(sat.plan(1, 2), until=REFUSED)
    assert report.reason == f"blocks (0, 2] need {sat.size((0, 2)):,} bytes, the budget is 1,000"
    assert sat.done == []


def test_what_the_protocol_finds_to_fit_is_loaded(make: Callable[..., Satellite], checkpoint: Path) -> None:
    layers = read_spec(checkpoint).layer_bytes
    sat = make(budget_bytes=sum(layers[:2]) + layers[0])
    sat.commit(sat.plan(1, 2))
    sat.propose(sat.plan(2, 1))
    assert len(sat.said[-1].serves) == 2, "to the byte, both fit"


def held_up(sat: Satellite) -> tuple[threading.Event, threading.Event]:
    """Keeps loads from going on: an event of one that has begun, and one that lets all go on."""
    entered, release = threading.Event(), threading.Event()
    load = sat.submodels._load

    def slow_load(start: int, stop: int) -> None:
        entered.set()
        assert release.wait(PATIENCE_S)
        load(start, stop)

    sat.submodels._load = slow_load
    return entered, release


def test_blocks_that_arrive_after_the_batches_moved_on_are_freed(sat: Satellite) -> None:
    first, late, current = sat.plan(1, 1), sat.plan(2, 2), sat.plan(3, 1)
    sat.commit(first)
    before = sat.submodels.memory_bytes
    entered, release = held_up(sat)
    sat.satellite_state.take_proposal(late)
    assert entered.wait(PATIENCE_S)
    sat.satellite_state.take_active(current)
    assert sat.serves(current, low_water=current.epoch)
    release.set()
    sat.until(lambda: ("drop", (0, 2)) in sat.done, "what nobody needs to be dropped")
    assert sat.protocol.report.serves == (plan_key(current),)
    assert sat.submodels.memory_bytes == before


def test_blocks_of_somebody_else_need_no_memory_here(make: Callable[..., Satellite]) -> None:
    sat = make(budget_bytes=1, external=True)
    old, new = sat.plan(1, 2), sat.plan(2, 1)
    sat.commit(old)
    sat.propose(new)
    assert sat.serves(old) and sat.serves(new)
    assert sat.protocol.memory_bytes == sat.submodels.memory_bytes == 0


def test_a_load_of_a_former_life_is_no_news_to_this_one(sat: Satellite, checkpoint: Path) -> None:
    entered, release = held_up(sat)
    former = sat.submodels
    plan = sat.plan(1, 2)
    sat.satellite_state.take_proposal(plan)
    assert entered.wait(PATIENCE_S)
    closer = threading.Thread(target=sat.satellite_state.close, daemon=True)
    closer.start()
    while sat.satellite_state.protocol is not None:
        assert closer.is_alive()
    sat.submodels = sub_models(checkpoint, PLENTY)
    life = sat.open(boot_id=8)
    release.set()
    closer.join(PATIENCE_S)
    assert not closer.is_alive() and former.memory_bytes == 0
    assert life.loaded == set() and life.report == Report("sat1", 8)
    assert not sat.serves(plan)
    sat.propose(plan)
    assert sat.said[-1].boot_id == 8 and sat.serves(plan)


def test_the_operators_setting_wins_until_released(sat: Satellite) -> None:
    plan = sat.plan(1, 2)
    stage = plan.stages[0]
    assert sat.satellite_state.setting_for(plan, stage) == INT8
    sat.satellite_state.pin(RAW, accuracy=0.9)
    assert sat.satellite_state.setting_for(plan, stage) == RAW
    sat.satellite_state.pin(None, accuracy=1.0)
    assert sat.satellite_state.setting_for(plan, stage) == INT8


def test_a_pin_that_breaks_a_plans_floor_is_not_in_force_under_it(sat: Satellite) -> None:
    sat.satellite_state.pin(RAW, accuracy=0.7)
    assert sat.satellite_state.is_pinned
    loose, strict = sat.plan(1, 2, accuracy_floor=0.6), sat.plan(2, 2, accuracy_floor=0.8)
    assert sat.satellite_state.setting_for(loose, loose.stages[0]) == RAW
    assert sat.satellite_state.setting_for(strict, strict.stages[0]) == INT8
    sat.propose(strict)
    assert not sat.satellite_state.is_pinned


def test_the_floor_is_the_newest_plans(sat: Satellite) -> None:
    assert sat.satellite_state.accuracy_floor == 0.0
    sat.commit(sat.plan(1, 2, accuracy_floor=0.8))
    sat.propose(sat.plan(2, 2, accuracy_floor=0.6))
    assert sat.satellite_state.accuracy_floor == 0.6


def test_a_plan_that_is_not_served_yet_sets_no_floor(tight: Satellite) -> None:
    tight.commit(tight.plan(1, 2, accuracy_floor=0.8))
    tight.propose(tight.plan(2, 1, accuracy_floor=0.6), until=NEEDS_DRAIN)
    assert tight.satellite_state.newest == tight.plan(1, 2, accuracy_floor=0.8)
    assert tight.satellite_state.accuracy_floor == 0.8


def test_who_stops_watching_is_told_nothing_more(sat: Satellite) -> None:
    sat.satellite_state.watch(None)
    sat.satellite_state.take_proposal(sat.plan(1, 2))
    sat.satellite_state.tell()
    assert sat.said == []
    sat.satellite_state.watch(sat._note)
    sat.satellite_state.tell()
    assert sat.said[0].about == plan_key(sat.plan(1, 2))


def test_a_closed_board_takes_and_serves_nothing(sat: Satellite) -> None:
    plan = sat.plan(1, 2)
    sat.commit(plan)
    sat.satellite_state.close()
    said = list(sat.said)
    sat.satellite_state.take_proposal(plan)
    sat.satellite_state.take_active(sat.plan(2, 2))
    sat.satellite_state.take_switch(SwitchState())
    assert sat.batch(plan) == Refuse(Cause.UNKNOWN_EPOCH)
    assert sat.satellite_state.newest is None
    assert (sat.said, sat.submodels.memory_bytes) == (said, 0)
