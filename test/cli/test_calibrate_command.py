"""`satllm calibrate-codec` on the shipped model and a handful of images."""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from satllm_ros.assets.paths import DEMO_ARTEFACTS, DEMO_CHECKPOINT, asset
from satllm_ros.cli.compression.calibrate_codec import add_parser
from satllm_ros.compression.tables.artefacts import Artefacts, load_artefacts
from satllm_ros.compression.wire.errors import ArtefactError
from satllm_ros.compression.wire.setting import CodecSetting


@pytest.fixture
def data(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for name in ("AnnualCrop", "Forest"):
        folder = tmp_path / "data" / "train" / name
        folder.mkdir(parents=True)
        for number in range(2):
            image = generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(image).save(folder / f"{name}_{number}.png")
    return tmp_path / "data"


def run(*words: object) -> int:
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    args = parser.parse_args([str(word) for word in ("calibrate-codec", *words)])
    return args.run(args)


def test_it_writes_scales_of_every_cut_for_that_checkpoint(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "codec.safetensors"
    words = ("--checkpoint", asset(DEMO_CHECKPOINT), "--data", data, "--images", 3, "--measure-images", 1)
    assert run(*words, "--out", out) == 0
    artefacts = load_artefacts(out)
    assert list(artefacts.scales) == list(range(1, 12))
    assert (artefacts.prefix_tokens, artefacts.width) == (1, 192)
    assert artefacts.artefact_id in capsys.readouterr().out
    # What was written fits what is shipped: same model, same order of magnitude at every cut.
    shipped = load_artefacts(asset(DEMO_ARTEFACTS), model_id=artefacts.model_id)
    for cut, scales in shipped.scales.items():
        ratio = np.median(artefacts.scales[cut].step) / np.median(scales.step)
        assert 0.2 < ratio < 5


def test_what_each_setting_costs_is_measured_and_kept(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "codec.safetensors"
    words = ("--checkpoint", asset(DEMO_CHECKPOINT), "--data", data, "--images", 2, "--measure-images", 2)
    assert run(*words, "--out", out) == 0
    artefacts = load_artefacts(out)
    raw, int8 = (artefacts.measured(CodecSetting.parse(name)) for name in ("raw", "int8"))
    assert 1.0 < raw.ratio < 1.01
    assert int8.ratio < 0.25
    assert {raw.accuracy, int8.accuracy} <= {0.0, 0.5, 1.0}
    assert list(int8.by_cut) == list(range(1, 12)) and int8.by_cut[4].loss is None
    assert np.mean([one.ratio for one in int8.by_cut.values()]) == pytest.approx(int8.ratio, rel=0.05)


def test_losses_of_single_cuts_are_measured_if_asked_for(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "codec.safetensors"
    words = ("--checkpoint", asset(DEMO_CHECKPOINT), "--data", data, "--images", 2, "--measure-images", 2)
    assert run(*words, "--settings", "raw", "int8", "--single-losses", "--out", out) == 0
    raw, int8 = load_artefacts(out).measurements.values()
    assert {one.loss for one in raw.by_cut.values()} == {0.0}
    assert {one.loss for one in int8.by_cut.values()} <= {-1.0, -0.5, 0.0, 0.5, 1.0}


def test_a_setting_that_was_not_measured_is_refused_by_name() -> None:
    bare = Artefacts("0" * 16, 1, 4, {})
    with pytest.raises(ArtefactError, match="no measurement of setting int8; measured: none"):
        bare.measured(CodecSetting.parse("int8"))


def test_more_images_than_there_are_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--images 4 and --measure-images 1 must .* the 4 images of split 'train'"):
        words = ("--checkpoint", asset(DEMO_CHECKPOINT), "--data", data, "--images", 4, "--measure-images", 1)
        run(*words, "--out", tmp_path / "x")


def test_the_codecs_need_neither_torch_nor_ros() -> None:
    program = "import sys, satllm_ros.compression.codec, satllm_ros.compression.tables.artefacts; "
    program += "from satllm_ros.compression.calibration import calibrate; "
    program += "from satllm_ros.cli.compression import calibrate_codec; "
    program += "print([m for m in ('torch', 'timm', 'rclpy', 'matplotlib') if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"
