"""Whole runs of the protocol under a virtual clock."""

import pytest

from satllm_ros.protocol.delivery import Origin
from satllm_ros.protocol.identity import Epoch, TileKey
from satllm_ros.simulation.oracle import ONE_WAY_S, Oracle, Violation
from satllm_ros.simulation.processes.images import STAMPS
from satllm_ros.simulation.processes.messages import Result, Step, Tile
from satllm_ros.simulation.processes.process import CLASSES, MODEL_ID, RUN_ID
from satllm_ros.simulation.run import Totals, simulate
from satllm_ros.simulation.scenario import BLOCKS, SEQUELS, Splitter, make_scenario

SEEDS = range(300)


def test_no_run_breaks_a_promise() -> None:
    totals = Totals()
    causes: dict[str, int] = {}
    for seed in SEEDS:
        outcome = simulate(seed)
        assert not outcome.broken, f"seed {seed}: {outcome.broken}"
        totals.add(outcome)
        for cause, count in outcome.causes.items():
            causes[cause] = causes.get(cause, 0) + count
    # Otherwise the runs would prove little.
    assert totals.kills > 300 and totals.drains > 30 and totals.commits > 500 and totals.resent_batches > 200
    assert totals.refusals > 50 and totals.hop_resends > 100
    seen = {"stalled", "overtaken", "store_lost", "refused_unknown_epoch", "refused_full", "refused_bad_crc"}
    seen.add("refused_by_ground")
    assert seen <= causes.keys()
    assert causes["withdrawn_drains"] > 10


@pytest.mark.parametrize("seed", [3995], ids=["the store of a killed sensing holds more than custody may"])
def test_seeds_that_once_broke_a_promise(seed: int) -> None:
    assert not simulate(seed).broken


def test_a_seed_is_a_run_and_telling_it_changes_nothing() -> None:
    for seed in (3, 8, 13):
        first, again, told = simulate(seed), simulate(seed), simulate(seed, tell=True)
        assert (first.events, first.virtual_s, first.tiles) == (again.events, again.virtual_s, again.tiles)
        assert (first.events, first.virtual_s, first.tiles) == (told.events, told.virtual_s, told.tiles)
        assert told.story and not first.story
        assert told.story == simulate(seed, tell=True).story


def test_scenarios_differ_and_cover_the_ground() -> None:
    scenarios = [make_scenario(seed) for seed in range(400)]
    kinds = {fault.kind for scenario in scenarios for fault in scenario.faults}
    assert kinds == {
        *("replan", "kill", "kill amid", "kill and wipe", "stop", "folder"),
        *("outage", "contact", "lease", "one way"),
    }
    one_way = {fault.names for scenario in scenarios for fault in scenario.faults if fault.kind == "one way"}
    assert {("sat1", "ground"), ("ground", "sat1"), ("sensing", "sat1"), ("sat1", "sensing")} <= one_way
    assert {len(scenario.satellites) for scenario in scenarios} == {2, 3, 4}
    assert any(len(scenario.planners) == 2 for scenario in scenarios)
    assert any(scenario.permanently_dead for scenario in scenarios)
    assert any(scenario.calm for scenario in scenarios)
    assert any(scenario.live_period_s is not None for scenario in scenarios)
    assert {scenario.stamps for scenario in scenarios} == set(STAMPS)
    assert {scenario.sequel for scenario in scenarios} == {"", *SEQUELS}
    assert {fault.names for scenario in scenarios for fault in scenario.faults if fault.kind == "folder"} == {
        ("add",),
        ("replace",),
        ("remove",),
    }
    for fact in ("durable", "ground_apart", "wrong_ground_s"):
        assert {bool(getattr(scenario, fact)) for scenario in scenarios} == {True, False}
    killed = {fault.names[0] for scenario in scenarios for fault in scenario.faults if fault.kind == "kill"}
    assert killed == {"sat1", "sat2", "sat3", "sat4", "sensing", "ground", "planner-a", "planner-b"}


def test_a_split_keeps_to_memory_and_to_the_living() -> None:
    for seed in range(200):
        scenario = make_scenario(seed)
        splitter = Splitter(scenario, 0)
        alive = scenario.satellites[1:]
        plan = splitter(alive)
        if plan is None:
            assert sum(min(BLOCKS, scenario.budgets[name]) for name in alive) < BLOCKS
            continue
        assert set(plan.satellites) <= set(alive) and plan.downlink in alive
        assert all(stage.stop - stage.start <= scenario.budgets[stage.satellite] for stage in plan.stages)
        assert plan.stages[0].start == 0 and plan.stages[-1].stop == BLOCKS


@pytest.mark.parametrize("steps", [(), ("sat1 0 8",)], ids=["no work", "unknown plan"])
def test_the_oracle_knows_a_wrong_sub_model(steps: tuple[str, ...]) -> None:
    done = tuple(Step(name, Epoch(1, 1), "hash", int(a), int(b)) for name, a, b in map(str.split, steps))
    with pytest.raises(Violation, match="wrong sub-model"):
        Oracle(window_batches=1).check_steps(done)


def test_the_oracle_knows_predictions_that_are_sent_into_a_link_that_is_not_there() -> None:
    oracle = Oracle(window_batches=1)
    oracle.sent_into("sat1", ONE_WAY_S)
    with pytest.raises(Violation, match="sat1 sends predictions into a link that has not worked both ways for 13 s"):
        oracle.sent_into("sat1", ONE_WAY_S + 1.0)


TILE = Tile(TileKey("source", 1, 0), "image 1")


@pytest.mark.parametrize(
    ("run_id", "model_id"), [(RUN_ID + 1, MODEL_ID), (RUN_ID, "another")], ids=["another run", "another model"]
)
def test_the_oracle_knows_what_another_run_or_model_made(run_id: int, model_id: str) -> None:
    with pytest.raises(Violation, match=f"writes what model {model_id} made in run {run_id}"):
        Oracle(window_batches=1).written(Result((TILE,), Origin(run_id, model_id, CLASSES), ()))


def test_the_oracle_knows_one_image_by_the_name_of_another() -> None:
    oracle = Oracle(window_batches=1)
    oracle.acquired(TILE)
    oracle.check_names((TILE,))
    with pytest.raises(Violation, match="the label of image 2 is written as that of image 1, which is frame 1"):
        oracle.check_names((TILE._replace(content="image 2"),))
    with pytest.raises(Violation, match="is written as that of no image"):
        oracle.check_names((Tile(TileKey("source", 2, 0), "image 1"),))
    with pytest.raises(Violation, match="image 1 and image 2 are both called frame 1 of source"):
        oracle.acquired(TILE._replace(content="image 2"))
