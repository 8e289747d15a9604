"""From one command to the next, as docs/compression.md has them: rotate, learn masks, make artefacts, evaluate."""

import json
from pathlib import Path

import numpy as np
import pytest

from satllm_ros.cli.main import main
from satllm_ros.compression.tables.artefacts import load_artefacts
from satllm_ros.compression.tables.mask_file import load_masks
from satllm_ros.model.spec import read_spec
from satllm_ros.training.train import CHECKPOINT, MASKS

ARGUMENTS = ("img_size=16", "patch_size=8", "embed_dim=16", "depth=3", "num_heads=2")
SHORT = ("--epochs", 1, "--batch-size", 16)


def satllm(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def runs(colored_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`plain`, a model; `rotated.safetensors`, the same in other axes; `masks`, trained with masks; its artefacts."""
    root = tmp_path_factory.mktemp("runs")
    data = ("--data", colored_data)
    rotated, masks = root / "rotated.safetensors", root / "masks"
    assert satllm("train", *data, "--out", root / "plain", *SHORT, "--lr", 1e-2, "--model-args", *ARGUMENTS) == 0
    assert satllm("rotate", *data, "--checkpoint", root / "plain" / CHECKPOINT, "--out", rotated) == 0
    assert satllm("train", *data, "--init", rotated, "--compress", "mask", "--out", masks, *SHORT) == 0
    made = ("--settings", "mask:0.2:8", "--out", root / "codec.safetensors")
    learned = ("--checkpoint", masks / CHECKPOINT, "--masks", masks / MASKS)
    assert satllm("calibrate-codec", *data, *learned, *made) == 0
    return root


def test_the_artefacts_have_the_masks_that_were_learned(runs: Path) -> None:
    model_id = read_spec(runs / "masks" / CHECKPOINT).model_id
    orders = load_masks(runs / "masks" / MASKS, model_id=model_id)
    artefacts = load_artefacts(runs / "codec.safetensors", model_id=model_id)
    assert sorted(orders) == [1, 2]
    for cut, order in orders.items():
        assert np.array_equal(artefacts.tables[cut].arrays()["mask_order"], order)


def test_a_rotated_model_is_another_file_with_the_same_answers(
    runs: Path, colored_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = []
    for checkpoint in (runs / "plain" / CHECKPOINT, runs / "rotated.safetensors"):
        assert satllm("evaluate", "--checkpoint", checkpoint, "--data", colored_data) == 0
        answers.append(capsys.readouterr().out.splitlines()[-1])
    assert answers[0] == answers[1] and "24" in answers[0]
    assert read_spec(runs / "plain" / CHECKPOINT).model_id != read_spec(runs / "rotated.safetensors").model_id


def test_the_noise_as_printed_learns_other_masks(runs: Path, colored_data: Path, tmp_path: Path) -> None:
    options = ("--init", runs / "rotated.safetensors", "--compress", "mask", "--noise", "single", *SHORT)
    assert satllm("train", "--data", colored_data, "--out", tmp_path / "single", *options) == 0
    assert (tmp_path / "single" / MASKS).read_bytes() != (runs / "masks" / MASKS).read_bytes()


def test_a_codec_in_the_loop_needs_artefacts_of_the_checkpoint(
    runs: Path, colored_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--data", colored_data, "--out", tmp_path / "klt", "--compress", "klt:8", *SHORT)
    codec = ("--artefacts", runs / "codec.safetensors")
    assert satllm("train", *options, *codec, "--init", runs / "masks" / CHECKPOINT) == 0
    assert (tmp_path / "klt" / CHECKPOINT).exists()
    capsys.readouterr()
    for init in (("--init", runs / "rotated.safetensors"), ()):
        assert satllm("train", *options, *codec, *init) == 2
    assert [line[:15] for line in capsys.readouterr().err.splitlines()] == 2 * ["satllm: error: "]


def test_held_out_images_are_a_split_of_their_own(runs: Path, colored_data: Path, tmp_path: Path) -> None:
    model = ("--checkpoint", runs / "masks" / CHECKPOINT, "--artefacts", runs / "codec.safetensors")
    coded = ("--codec", "mask:0.2:8", "--split", "held-out", "--json", tmp_path / "found.json")
    assert satllm("evaluate", "--data", colored_data, *model, *coded) == 0
    assert json.loads((tmp_path / "found.json").read_text())["n"] == 12


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("calibrate-codec", "--checkpoint", "plain", "--masks", "masks"), "holds masks of model"),
        (("calibrate-codec", "--checkpoint", "plain", "--seed", -1), "--seed -1 is not allowed"),
        (("calibrate-codec", "--checkpoint", "plain", "--out", "none/codec.safetensors"), "there is no folder"),
        (("train", "--init", "none/a.json"), "none/a.json: No such file or directory"),
        (("calibrate-codec", "--checkpoint", "plain", "--images", 60), "together at most the 60 images"),
        (("rotate", "--checkpoint", "plain", "--images", 0), "--images 0 is not allowed; 1 to 60 are"),
        (("rotate", "--checkpoint", "plain", "--images", 40, "--seed", -1), "seed -1 is not allowed"),
        (("rotate", "--checkpoint", "plain", "--out", "none/turned.safetensors"), "there is no folder"),
        (("evaluate", "--checkpoint", "plain", "--limit", 4, "--seed", -1), "seed -1 is not allowed"),
        (("evaluate", "--checkpoint", "plain", "--codec", "raw", "--json", "none/a.json"), "there is no folder"),
        (("evaluate", "--checkpoint", "plain", "--codec", "raw", "--artefacts", "codec"), "needed are those of"),
        (("train", "--seed", 1 << 63), "seed 9223372036854775808 is not allowed; 0 to 2^63 - 1 are"),
        (("train", "--limit", 0), "limit 0 is not allowed; 1 to 48 are"),
        (("train", "--lr", "inf"), "it must be finite and above 0"),
        (("train", "--trained", "head"), "trained head needs a checkpoint"),
        (("train", "--artefacts", "codec"), "--artefacts need the checkpoint"),
        (("train", "--compress", "bogus"), "'bogus' is unknown; allowed are"),
        (("train", "--model-args", "num_classes=9"), "num_classes is not allowed"),
        (("train", "--model-args", "img_size=16", "depth=0"), "has no blocks"),
        (("train", "--model-args", "img_size=16", "patch_size=8", "depth=x"), "timm cannot build"),
    ],
)
def test_bad_input_is_said_in_a_sentence(
    words: tuple[object, ...],
    message: str,
    runs: Path,
    colored_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {
        "plain": runs / "plain" / CHECKPOINT,
        "masks": runs / "masks" / MASKS,
        "codec": runs / "codec.safetensors",
        **{name: tmp_path / name for name in ("none/codec.safetensors", "none/turned.safetensors", "none/a.json")},
    }
    given = [files.get(word, word) if isinstance(word, str) else word for word in words]
    if words[0] != "evaluate" and "--out" not in words:
        given += ["--out", tmp_path / "out"]
    if words[0] == "train" and "--model-args" not in words:
        given += ["--model-args", *ARGUMENTS]
    assert satllm(*given, "--data", colored_data) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("satllm: error: ") and printed.count("\n") == 1
    assert message in printed
    assert not list(tmp_path.glob("out/*")) and not (tmp_path / "out").is_file()
