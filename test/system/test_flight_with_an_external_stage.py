"""A satellite whose blocks a stage written by someone else runs: the example, and what may go wrong with one."""

import json
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from flight import constellation, started, up, write_constellation
from observer import Observer
from ros_domain import own_domain
from stage_program import EXAMPLE, STRANGE, stage
from tiny_material import Material

from satllm_ros import interfaces as graph


def with_sat2_external(material: Material, **changes: Any) -> dict[str, Any]:
    content = constellation(material, (0.05, 0.05), codecs=["raw"], **changes)
    content["satellites"][1]["external"] = True
    return content


def test_a_stage_that_is_not_there_is_planned_without(material: Material, tmp_path: Path) -> None:
    config = write_constellation(tmp_path, with_sat2_external(material))
    with started(up(config), tmp_path) as flight, Observer(flight) as observer:
        plans = observer.hear(graph.PLAN_ACTIVE)
        observer.until(lambda: plans, "a plan")
        assert [s.satellite for s in plans[0].stages] == ["sat1"]
        observer.until(lambda: "/sat2/stage" in observer.diagnostics, "diagnostics of sat2")
        status = observer.diagnostics["/sat2/stage"]
        assert status.level == DiagnosticStatus.WARN
        assert "no stage that is ready and hears this one says hello as sat2/stage" in status.message
        assert observer.until_ended() == 0, flight.story()
    assert "COMPLETE" in flight.output


def test_the_example_runs_its_blocks_and_is_planned_around_when_it_is_killed(
    material: Material, tmp_path: Path
) -> None:
    config = write_constellation(tmp_path, with_sat2_external(material))
    with (
        own_domain() as domain,
        stage(domain, tmp_path, EXAMPLE, "sat2", "--checkpoint", material.checkpoint) as theirs,
    ):
        with started(up(config, "--reference", "all"), tmp_path, domain) as flight, Observer(flight) as observer:
            timings, plans = observer.hear(graph.TIMING, "sat2"), observer.hear(graph.PLAN_ACTIVE)
            observer.until(lambda: len(timings) >= 3, "batches that the stage has run")
            theirs.kill()
            observer.until(lambda: [s.satellite for s in plans[-1].stages] == ["sat1"], "a plan without sat2")
            assert observer.until_ended() == 0, flight.story()
    assert "the external stage is used no more: it was last heard" in flight.logs
    summary = json.loads((flight.latest / "summary.json").read_text())
    # Nothing is compressed: what the stage computed is what the whole model gives.
    assert summary["complete"] and summary["accuracy"]["agreement"] == 1.0


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param("unable", "it cannot hold blocks", marks=pytest.mark.slow),
        pytest.param("shape", "3 batches in a row went wrong", marks=pytest.mark.slow),
        pytest.param("silent", "3 batches in a row went wrong", marks=pytest.mark.slow),
    ],
)
def test_a_stage_that_fails_is_planned_around(material: Material, tmp_path: Path, fault: str, said: str) -> None:
    config = write_constellation(tmp_path, with_sat2_external(material))
    words = STRANGE, fault, "sat2", material.checkpoint
    with own_domain() as domain, stage(domain, tmp_path, *words):
        with started(up(config), tmp_path, domain) as flight, Observer(flight) as observer:
            plans = observer.hear(graph.PLAN_ACTIVE)
            observer.until(lambda: "/sat2/compression" in observer.diagnostics, "sat2 to start")
            assert observer.set_parameter("sat2/compression", "external_timeout_s", 1.0).successful
            observer.until(lambda: plans and [s.satellite for s in plans[-1].stages] == ["sat1"], "a plan without sat2")
            assert observer.until_ended() == 0, flight.story()
    assert f"the external stage is used no more: {said}" in flight.logs
    assert "COMPLETE" in flight.output


@pytest.mark.slow
def test_a_slow_stage_is_measured_and_given_less(material: Material, tmp_path: Path) -> None:
    config = write_constellation(tmp_path, with_sat2_external(material))
    words = STRANGE, "slow", "sat2", material.checkpoint
    with own_domain() as domain, stage(domain, tmp_path, *words):
        with started(up(config), tmp_path, domain) as flight, Observer(flight) as observer:
            plans, statuses = observer.hear(graph.PLAN_ACTIVE), observer.hear(graph.STATUS, "sat2")
            observer.until(lambda: statuses and statuses[-1].block_s > 0.1, "its speed to be measured")
            observer.until(lambda: len(plans) > 1, "another plan")
            blocks = [sum(s.stop - s.start for s in plan.stages if s.satellite == "sat2") for plan in plans]
            assert blocks[-1] < blocks[0]
            assert observer.until_ended() == 0, flight.story()
    assert "COMPLETE" in flight.output
