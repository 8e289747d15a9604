import argparse
import json
from pathlib import Path

import pytest

from satllm_ros.cli.training import evaluate as evaluate_command
from satllm_ros.cli.training import train as command
from satllm_ros.model.spec import read_spec
from satllm_ros.training import train as train_module

TINY = ["img_size=16", "patch_size=8", "embed_dim=16", "depth=1", "num_heads=2", "global_pool=avg"]


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    command.add_parser(subparsers)
    evaluate_command.add_parser(subparsers)
    args = parser.parse_args(list(map(str, arguments)))
    return args.run(args)


def test_train_then_evaluate(colored_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    options = ("--epochs", 1, "--limit", 20, "--batch-size", 8)
    assert run("train", "--data", colored_data, "--out", out, *options, "--model-args", *TINY) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "epoch 1/1: loss" in printed
    assert "of 24; 95 % interval" in printed
    spec = read_spec(out / "checkpoint.safetensors")
    assert spec.arguments == {
        **{k: json.loads(v) for k, v in (a.split("=") for a in TINY[:-1])},
        "global_pool": "avg",
        "num_classes": 3,
    }

    assert (
        run(
            "evaluate",
            "--checkpoint",
            out / "checkpoint.safetensors",
            "--data",
            colored_data,
            "--split",
            "all",
        )
        == 0
    )
    assert "of 84; 95 % interval" in " ".join(capsys.readouterr().out.split())


def test_ctrl_c_says_how_to_go_on(
    colored_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_module, "train", interrupted)
    assert run("train", "--data", colored_data, "--out", tmp_path) == 130
    assert "--resume continues" in capsys.readouterr().out


@pytest.mark.parametrize("argument", ["depth", "=3", "two words=3"])
def test_a_model_argument_needs_name_and_value(
    argument: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run("train", "--data", tmp_path, "--out", tmp_path, "--model-args", argument)
    assert "is not NAME=VALUE" in capsys.readouterr().err


def test_init_gives_architecture_and_arguments_and_model_args_go_before_it(colored_data: Path, tmp_path: Path) -> None:
    options = ("--data", colored_data, "--epochs", 1, "--limit", 20, "--batch-size", 8)
    assert run("train", *options, "--out", tmp_path / "first", "--model-args", *TINY) == 0
    first = tmp_path / "first" / "checkpoint.safetensors"
    assert run("train", *options, "--out", tmp_path / "same", "--init", first) == 0
    assert run("train", *options, "--out", tmp_path / "other", "--init", first, "--model-args", "patch_size=4") == 0
    arguments = read_spec(first).arguments
    assert read_spec(tmp_path / "same" / "checkpoint.safetensors").arguments == arguments
    assert read_spec(tmp_path / "other" / "checkpoint.safetensors").arguments == {**arguments, "patch_size": 4}
