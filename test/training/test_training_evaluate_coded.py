"""`satllm evaluate --codec` on the shipped model, against a direct computation."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from satllm_ros.assets.paths import DEMO_ARTEFACTS, DEMO_CHECKPOINT, asset
from satllm_ros.cli.main import main
from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import load_artefacts
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.data.labelled.datasets import load_dataset
from satllm_ros.model.checkpoints.checkpoint import load_model
from satllm_ros.model.spec import read_spec
from satllm_ros.model.stage import normalize
from satllm_ros.training.evaluation.coded import CodedModel, evaluate_coded
from satllm_ros.training.evaluation.paired import PairedAccuracy, compare

CUTS, SETTING, BATCH = (3, 6, 9), CodecSetting.parse("mask:0.01:6"), 4


def directly(noise_data: Path) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Predictions with and without the codec, and wire bytes a hop, by running timm's blocks by hand."""
    model, artefacts = load_model(asset(DEMO_CHECKPOINT)), load_artefacts(asset(DEMO_ARTEFACTS))
    dataset = load_dataset(noise_data, "test")
    images = normalize(dataset.stack(range(10)), read_spec(asset(DEMO_CHECKPOINT)))
    coded, wire = [], [0, 0, 0]
    with torch.inference_mode():
        reference = model(images).argmax(dim=1).numpy()
        for batch in images.split(BATCH):
            values = model._pos_embed(model.patch_embed(batch))
            for number, block in enumerate(model.blocks, start=1):
                values = block(values)
                if number in CUTS:
                    frame = encode(values.numpy(), SETTING, artefacts, number)
                    wire[CUTS.index(number)] += len(frame)
                    values = torch.from_numpy(decode(frame, artefacts, max_elements=values.numel()).activation)
            coded.append(model.forward_head(model.norm(values)).argmax(dim=1).numpy())
    return np.concatenate(coded), reference, wire


def test_the_json_holds_what_a_direct_computation_gives(noise_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    options = ["--codec", str(SETTING), "--cuts", *map(str, CUTS), "--batch-size", str(BATCH), "--json", str(out)]
    assert main(["evaluate", "--data", str(noise_data), *options]) == 0
    found = json.loads(out.read_text())
    coded, reference, wire = directly(noise_data)
    labels = np.arange(10)
    assert found["n"] == 10
    assert found["accuracy"] == np.mean(coded == labels)
    assert found["accuracy_reference"] == np.mean(reference == labels)
    assert found["interval"][0] <= found["accuracy"] <= found["interval"][1]
    assert [hop["wire_bytes"] for hop in found["hops"]] == wire
    assert [hop["cut"] for hop in found["hops"]] == list(CUTS)
    for hop in found["hops"]:
        assert hop["ratio"] == pytest.approx(10 * 65 * 192 * 4 / hop["wire_bytes"])


def test_many_settings_at_once_give_what_each_gives_alone(noise_data: Path) -> None:
    model = CodedModel(asset(DEMO_CHECKPOINT), load_artefacts(asset(DEMO_ARTEFACTS)))
    dataset, settings = load_dataset(noise_data, "test"), [SETTING, CodecSetting.parse("klt:20")]
    together = evaluate_coded(model, dataset, np.arange(10), settings, CUTS, BATCH)
    assert together == [evaluate_coded(model, dataset, np.arange(10), [one], CUTS, BATCH)[0] for one in settings]
    assert together[0].bytes_per_hop == sum(directly(noise_data)[2]) / 30
    assert together[0].hops != together[1].hops


def test_coded_answers_are_those_of_coded_activations(noise_data: Path) -> None:
    coded, reference, _ = directly(noise_data)
    model = CodedModel(asset(DEMO_CHECKPOINT), load_artefacts(asset(DEMO_ARTEFACTS)))
    # As if the uncompressed model were always right: only then does each image tell.
    dataset = replace(load_dataset(noise_data, "test"), labels=reference)
    (found,) = evaluate_coded(model, dataset, np.arange(10), [SETTING], CUTS, BATCH)
    assert found.paired.accuracy_reference == 1
    assert found.paired.accuracy == np.mean(coded == reference) < 1


def test_a_limit_draws_images_by_the_seed(noise_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        options = ["--codec", "klt:16", "--cuts", "6", "--limit", "4", "--seed", str(seed)]
        assert main(["evaluate", "--data", str(noise_data), *options, "--json", str(tmp_path / f"{seed}.json")]) == 0
        assert "of 4 images" in capsys.readouterr().out
    model = CodedModel(asset(DEMO_CHECKPOINT), load_artefacts(asset(DEMO_ARTEFACTS)))
    dataset = load_dataset(noise_data, "test")
    for seed in (0, 1):
        found = json.loads((tmp_path / f"{seed}.json").read_text())
        chosen = dataset.draw(4, seed)
        (expected,) = evaluate_coded(model, dataset, chosen, [CodecSetting.parse("klt:16")], [6], 10)
        assert found["n"] == 4 and found["hops"][0]["wire_bytes"] == expected.hops[0].wire_bytes
    assert (tmp_path / "0.json").read_text() != (tmp_path / "1.json").read_text().replace('"seed": 1', '"seed": 0')


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--codec", "klt:16", "--cuts", "9", "3"], "cuts 9 3 are not allowed; they must ascend within 1 to 11"),
        (["--codec", "klt:16", "--cuts", "12"], "cuts 12 are not allowed"),
        (["--codec", "klt:16", "--cuts", "3", "3"], "cuts 3 3 are not allowed; they must ascend"),
        (["--codec", "zip"], "'zip' is unknown"),
        (["--cuts", "3"], "--cuts and --json need --codec"),
        (["--limit", "11"], "--limit 11 is not allowed; 1 to 10 are, of split 'test'"),
        (["--codec", "klt:16", "--batch-size", "0"], "--batch-size 0 is not allowed"),
    ],
)
def test_bad_input_is_said_in_a_sentence(
    options: list[str], message: str, noise_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--data", str(noise_data), *options]) == 2
    assert message in capsys.readouterr().err


def test_paired_figures() -> None:
    labels = np.array([0, 1, 2, 0, 1, 2])
    found = compare(labels, np.array([0, 1, 0, 1, 1, 0]), np.array([0, 1, 2, 0, 0, 2]))
    assert (found.correct, found.correct_reference, found.gained, found.lost) == (3, 5, 1, 3)
    assert found.difference == pytest.approx(-2 / 6)
    # 4 images changed: P(at most 1 of 4 heads) twice is 10/16.
    assert found.mcnemar == pytest.approx(10 / 16)
    assert PairedAccuracy(6, 3, 3, 2, 2).mcnemar == 1
    # Agresti and Min: of 8, 1.5 gained and 3.5 lost.
    assert found.difference_interval == pytest.approx(
        [-2 / 8 + sign * 1.959964 * math.sqrt(5 - 4 / 8) / 8 for sign in (-1, 1)], abs=1e-6
    )
    many = PairedAccuracy(10_000, 9_000, 9_050, 100, 150)
    low, high = many.difference_interval
    assert low < many.difference < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(250) / 10_000, rel=0.01)
