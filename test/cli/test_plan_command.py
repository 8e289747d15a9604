"""`satllm plan` and the explanation of a plan."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from satllm_ros.cli import plan as command
from satllm_ros.documents.section import DocumentError
from satllm_ros.planning.explain import explain
from satllm_ros.planning.problem.problem_json import from_json
from satllm_ros.planning.solver.solve import solve

# sat1 alone would be best, but its memory holds two of four blocks; sat2 is slow and becomes the bottleneck.
DOCUMENT = {
    "batches": 10,
    "model": {"layer_flops": [1, 1, 1, 1], "layer_memory_bytes": [1, 1, 1, 1], "cut_bytes": [1, 1, 1, 1, 1]},
    "satellites": [
        {"name": "sat1", "flops_per_s": 4, "memory_bytes": 2},
        {"name": "[red]", "flops_per_s": 1, "memory_bytes": 4},
    ],
    "links": [{"rate_bps": 80}, {"rate_bps": 80}, {"rate_bps": 80}],
    "compression": {
        "settings": [{"name": "int8", "ratio": 0.25, "accuracy": 0.95}],
        "accuracy_min": 0.9,
    },
}


Plan: TypeAlias = Callable[..., int]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Run `satllm plan` on a document; gives its exit code."""

    def call(document: object, *options: str) -> int:
        path = tmp_path / "problem.json"
        path.write_text(json.dumps(document))
        parser = argparse.ArgumentParser()
        command.add_parser(parser.add_subparsers())
        arguments = parser.parse_args(["plan", "--problem", str(path), *options])
        return arguments.run(arguments)

    return call


def test_json_has_the_promised_fields(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(DOCUMENT, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["feasible"] is True and printed["objective"] == "exact"
    assert printed["stages"] == [
        {"satellite": "sat1", "start": 0, "stop": 2},
        {"satellite": "[red]", "start": 2, "stop": 4},
    ]
    assert printed["ratios"] == [0.25] and printed["settings"] == ["int8"]
    assert printed["bottleneck"] == {"resource": "[red]", "seconds": 2.0}
    # 0.1 up, 0.5 + 0.025 + 2 + 0.1 through the chain, nine more at 2.
    assert printed["delay_s"] == pytest.approx(20.725)
    assert printed["predicted"]["exact_s"] == printed["delay_s"]
    assert printed["predicted"]["paper_s"] == pytest.approx(2.625 + 9 * (2 + 0.1 - 0.025))
    # Both satellites together do 5 FLOP/s, so no pace is below 0.8 s.
    assert printed["lower_bound_s"] == pytest.approx(2.725 + 9 * 0.8)
    assert printed["gap"] == pytest.approx(1 - printed["lower_bound_s"] / 20.725)
    assert printed["proven_optimal"] is True
    assert [(s["busy_s"], s["memory_bytes"]) for s in printed["satellites"]] == [(5.0, 2.0), (20.0, 2.0)]


def test_table_and_explanation_for_people(
    plan: Plan, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert plan(DOCUMENT, "--objective", "exact") == 0
    printed = capsys.readouterr().out
    assert "[red]" in printed and "int8" in printed and "3-4" in printed
    assert "bottleneck: [red], 2 s per batch, 0.5 batches/s" in printed


def test_infeasible_is_exit_code_3_with_reason(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    document = DOCUMENT | {"satellites": [{"name": "sat1", "flops_per_s": 1, "memory_bytes": 3}]}
    document["links"] = DOCUMENT["links"][:2]
    assert plan(document) == 3
    assert capsys.readouterr().out.splitlines() == [
        "no plan: memory is too small for any split: at best sat1 would have to hold blocks 1 to 4, 4 bytes, "
        "and may use 3 bytes; nearest change: give sat1 1 byte more memory"
    ]
    assert plan(document, "--json") == 3
    assert json.loads(capsys.readouterr().out)["reasons"][0]["constraint"] == "memory"


def test_more_satellites_than_blocks_and_unreachable_accuracy() -> None:
    satellites = [{"name": f"sat{k}", "flops_per_s": 1, "memory_bytes": 4} for k in range(5)]
    document = DOCUMENT | {"satellites": satellites, "links": [{"rate_bps": 8}] * 6}
    document["compression"] = DOCUMENT["compression"] | {"accuracy_min": 0.99}
    assert explain(from_json(document), solve(from_json(document))) == [
        "no plan: no compression setting reaches the accuracy floor 0.99; the best is int8 with 0.95; "
        "nearest change: lower accuracy_min to 0.95, or offer a setting that reaches it",
        "no plan: 5 satellites need at least 5 blocks, the model has 4; nearest change: use at most 4 satellites",
    ]


def test_memory_reason_when_no_single_satellite_can_save_the_chain() -> None:
    document = DOCUMENT | {"satellites": [{"name": f"sat{k}", "flops_per_s": 1, "memory_bytes": 0} for k in (1, 2)]}
    (reason,) = solve(from_json(document)).reasons
    assert reason.relaxation == "give every satellite 2 bytes more memory"


def test_malformed_names_the_field(plan: Plan) -> None:
    with pytest.raises(DocumentError, match=r"problem\.json: batches is 'many'"):
        plan(DOCUMENT | {"batches": "many"})
    with pytest.raises(SystemExit):
        plan(DOCUMENT, "--objective", "luck")


def test_explanation_says_what_would_change_the_plan() -> None:
    problem = from_json(DOCUMENT)
    lines = explain(problem, solve(problem))
    assert lines == [
        "plan: sat1 blocks 1-2 sends int8; [red] blocks 3-4",
        "bottleneck: [red], 2 s per batch, 0.5 batches/s; predicted: 20.7 s for 10 batches (the paper's formula: "
        "21.3 s)",
        "slack: sat1 75%, [red] 0%",
        "gap: 52.1% down to 9.93 s, which no plan could beat even if blocks were divisible; this plan is "
        "proven optimal (exact objective)",
        "would change it: [red] twice as fast gives 10.7 s (-48%, the same split); memory without limit "
        "gives 11 s (-47%, another split)",
    ]


def test_explanation_of_a_link_bound_plan() -> None:
    document = DOCUMENT | {"links": [{"rate_bps": 80}, {"rate_bps": 0.5}, {"rate_bps": 80}]}
    problem = from_json(document)
    lines = explain(problem, solve(problem))
    assert lines[1].startswith("bottleneck: link 1 (sat1 to [red]), 4 s per batch, 0.25 batches/s; predicted: ")
    assert "link 1 (sat1 to [red]) twice as fast gives 22.7 s" in lines[4]
    assert "memory without limit gains" in lines[4] or "memory without limit gives" in lines[4]


def test_the_papers_objective_and_what_others_would_fly(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(DOCUMENT, "--objective", "paper", "--json", "--compare") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["objective"] == "paper" and printed["delay_s"] == printed["predicted"]["paper_s"]
    rows = {row["name"]: row for row in printed["compared"]}
    assert list(rows)[:5] == ["uniform", "proportional", "single", "two-part", "ground only"]
    assert rows["uniform"]["layers"] == [2, 2] and rows["single"]["layers"] == [0, 4]
    assert rows["paper's A* (tree, joint ratios)"]["delay_s"] == pytest.approx(printed["delay_s"])
    assert plan(DOCUMENT, "--objective", "paper", "--compare") == 0
    shown = capsys.readouterr().out
    assert "effective time (Eq. 14)" in shown and "two-part" in shown and "times the plan's" in shown


def test_a_relay_and_a_loss_budget_are_explained(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    document["satellites"][0] |= {"may_relay": True, "flops_per_s": 1e-3}
    document["satellites"][1]["memory_bytes"] = 4
    del document["compression"]["accuracy_min"]
    document["compression"]["loss_budget"] = 0.5
    assert plan(document) == 0
    assert "plan: sat1 relays, sends as it is; [red] blocks 1-4; loses 0 of the 0.5 allowed" in capsys.readouterr().out


def test_a_loss_budget_that_no_setting_keeps(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    offered = [{"name": "a", "ratio": 0.5, "accuracy": 0.9}, {"name": "b", "ratio": 0.6, "accuracy": 0.95}]
    document["compression"] = {"settings": offered, "loss_budget": 0.01}
    # Without a free setting of ratio 1 losses count from the best accuracy offered.
    assert plan(document, "--json") == 0
    assert json.loads(capsys.readouterr().out)["settings"] == ["b"]
    document = json.loads(json.dumps(DOCUMENT))
    document["compression"] = {"ratios": [0.5], "accuracy": [[0, 0.9], [1, 1]], "loss_budget": 0.01}
    assert plan(document) == 3
    assert capsys.readouterr().out == (
        "no plan: 1 cut loses at least 0.05 of accuracy with ratio 0.5, more than the budget 0.01; nearest change: "
        "raise loss_budget to 0.05, or offer a setting that loses less\n"
    )
