"""Plans written by hand: sealed, signed, or refused with the field."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from satllm_ros.cli.main import main
from satllm_ros.documents.section import DocumentError
from satllm_ros.protocol.plan import check_plan
from satllm_ros.signing.plan_yaml import plan_from_yaml, plan_to_yaml
from satllm_ros.signing.signing import check_signature, make_key_file, parse_public_key

TEXT = """
epoch: {incarnation: 3, counter: 1}
model_id: 0123456789abcdef
downlink: sat2
stages:
  - {satellite: sat1, start: 0, stop: 2, setting: int8}
  - {satellite: sat2, start: 2, stop: 4, setting: {codec: 0, keep_ratio: 1.0, bits: 8}}
"""


def test_a_plan_by_hand_is_acceptable_once_sealed() -> None:
    plan = plan_from_yaml(TEXT).sealed()

    check_plan(plan, model_id="0123456789abcdef", blocks=4, known=["sat1", "sat2"])
    assert [str(stage.setting) for stage in plan.stages] == ["int8", "raw"]


def test_what_is_printed_reads_back_the_same() -> None:
    plan = plan_from_yaml(TEXT).sealed()
    printed = plan_to_yaml(plan)

    assert "\n" not in printed
    assert yaml.safe_load(printed)["plan_hash"] == plan.plan_hash
    assert plan_from_yaml(printed).sealed() == plan


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("downlink: sat2", "", "downlink is missing"),
        ("counter: 1", "counter: one", "counter is 'one'"),
        ("stop: 2", "stop: true", "stop is True"),
        ("downlink: sat2", "downlnk: sat2", "downlink is missing"),
        ("downlink: sat2", "downlink: sat2\ncolor: red", "unknown field 'color'"),
        ("counter: 1", "counter: 0", "plan: epoch: counter is 0; a number from 1"),
        ("stop: 2", "stop: 2.5", "stages[0]: stop is 2.5; a whole number"),
        ("setting: int8", "setting: 7", "stages[0]: setting is 7; a string"),
        ("setting: int8", "setting: int9", "stages[0]: setting: codec setting 'int9' is unknown; allowed are raw"),
        ("codec: 0", "codec: 99", "stages[1]: setting: codec is 99; a number from 0 to 7"),
        ("bits: 8", "bits: 7", "stages[1]: setting: 7 bits are not offered by raw"),
        ("keep_ratio", "keep_ration", "unknown field 'keep_ration'; did you mean keep_ratio"),
        ("downlink: sat2", "downlink: sat2\naccuracy_floor: .nan", "accuracy_floor is nan; a number from 0 to 1"),
        ("downlink: sat2", "downlink: sat2\npredicted_cycle_s: .inf", "predicted_cycle_s is inf; a number from 0"),
        (TEXT, "[1, 2]", "a mapping is needed"),
        (TEXT, "{", "not YAML"),
        (TEXT, "[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_wrong_is_named(before: str, after: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said.replace("[", r"\[")):
        plan_from_yaml(TEXT.replace(before, after))


def test_an_epoch_of_the_largest_numbers_is_kept_exactly() -> None:
    largest = 2**63 - 1
    assert plan_from_yaml(TEXT.replace("incarnation: 3", f"incarnation: {largest}")).epoch.incarnation == largest


def test_the_command_seals_and_signs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.yaml").write_text(TEXT)
    public = make_key_file(tmp_path / "key.pem")

    assert main(["seal-plan", str(tmp_path / "plan.yaml"), "--key", str(tmp_path / "key.pem")]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    plan = plan_from_yaml(TEXT).sealed()
    assert printed["plan_hash"] == plan.plan_hash
    check_signature(replace(plan, signature=bytes(printed["signature"])), parse_public_key(public))


def test_a_codec_that_is_unknown_ends_the_command_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plan.yaml").write_text(TEXT.replace("codec: 0", "codec: 99"))

    assert main(["seal-plan", str(tmp_path / "plan.yaml")]) == 2
    assert "99" in capsys.readouterr().err
