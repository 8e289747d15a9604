"""`satllm profile` and `satllm calibrate` on a tiny model, and the sweep on made-up steps."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from satllm_ros.assets.paths import DEMO_CHECKPOINT, asset
from satllm_ros.cli import main as cli
from satllm_ros.compression.calibration.cut_model import CutModel
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.model.checkpoints.checkpoint import save_checkpoint
from satllm_ros.model.structure import build
from satllm_ros.profiling.calibration import Trials, random_cascades, sweep
from satllm_ros.profiling.device import device_name
from satllm_ros.profiling.files import load_profile
from satllm_ros.profiling.inputs import measured_settings

CLASSES = ("crop", "forest")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    arguments = {"depth": 4, "embed_dim": 24, "num_heads": 3, "img_size": 32, "patch_size": 16, "num_classes": 2}
    path = tmp_path / "tiny.safetensors"
    model = build("vit_tiny_patch16_224", arguments)
    save_checkpoint(path, model, "vit_tiny_patch16_224", arguments, (0.5,) * 3, (0.2,) * 3, CLASSES)
    return path


def test_profile_measures_blocks_and_memory(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["profile", str(checkpoint), "--batch-tiles", "1", "2", "--repeats", "2", "--out", str(tmp_path / "out")]
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    (path,) = (tmp_path / "out").iterdir()
    assert f"written to {path}" in shown and "through 4 blocks" in shown and "MB a block" in shown
    profile = load_profile(path, device=device_name())
    assert [(b.batch_tiles, len(b.layer_s)) for b in profile.blocks] == [(1, 4), (2, 4)]
    assert all(s > 0 for b in profile.blocks for s in b.layer_s)
    assert [p.blocks for p in profile.memory] == [1, 2, 4] and all(p.bytes >= 0 for p in profile.memory)
    assert 0 <= profile.age_s() < 600 and profile.codecs == {}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["--repeats", "0"], "--repeats 0 must be at least 1"), (["--threads", "0"], "--threads 0 must be at least 1")],
)
def test_profile_refuses_nonsense(
    checkpoint: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["profile", str(checkpoint), *words]) == 2
    assert sentence in capsys.readouterr().err


def test_calibrate_on_the_demo_model_and_a_handful_of_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    for name in ("AnnualCrop", "Forest"):
        folder = tmp_path / "data" / "test" / name
        folder.mkdir(parents=True)
        image = generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / f"{name}.png")
    words = ["calibrate", "demo", "--artefacts", "demo", "--data", str(tmp_path / "data"), "--images", "2"]
    assert asset(DEMO_CHECKPOINT).is_file()
    assert cli.main([*words, "--cascades", "2", "--settings", "int8", "--out", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("*.calibration.yaml")
    document = yaml.safe_load(path.read_text())
    assert list(document["settings"]["int8"]["by_cut"]) == list(range(1, 12)) and len(document["cascades"]) == 2
    assert document["curve"][-1][0] == 1.0
    assert "losses of 2 cascades against the sum of their cuts'" in capsys.readouterr().out
    (setting,) = measured_settings(path, model_id=document["model_id"])
    assert setting.name == "int8" and 0.1 < setting.ratio < 0.4
    assert cli.main([*words, "--images", "3"]) == 2
    assert "--images 3; allowed: 1 to the 2 of split 'test'" in capsys.readouterr().err


def test_the_sweep_adds_losses_of_cuts() -> None:
    """Raw loses nothing anywhere, so cascades of raw are predicted without error."""
    steps = [lambda x: x + 1, lambda x: x, lambda x: x[:, 0, :2]]
    values = np.random.default_rng(0).normal(size=(6, 3, 4)).astype(np.float32)
    labels = (values + 1)[:, 0, :2].argmax(axis=1)
    labels[0] = 1 - labels[0]
    trials = Trials(CutModel(steps), lambda: iter([(values, labels)]), Artefacts("0" * 16, 1, 4, {}))
    raw = CodecSetting.parse("raw")
    found = sweep(trials, [raw], [{1: raw, 2: raw}])
    assert found["uncompressed"] == pytest.approx(5 / 6)
    assert found["settings"]["raw"]["alike"]["accuracy"] == pytest.approx(5 / 6)
    assert found["additive_error"] == {"mean": 0.0, "worst": 0.0}


def test_cascades_are_of_a_few_lossy_cuts() -> None:
    raw, int8 = CodecSetting.parse("raw"), CodecSetting.parse("int8")
    cascades = random_cascades(range(1, 12), [raw, int8], 30, seed=1)
    assert len(cascades) == 30 and {len(c) for c in cascades} == {2, 3, 4}
    assert all(setting == int8 for c in cascades for setting in c.values())
    assert random_cascades(range(1, 2), [int8], 3, seed=1) == []
