"""A checkpoint of another model is refused with a sentence that names the file and the difference."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tiny_models import CLASSES, MEAN, STD, TINY

from satllm_ros.model.checkpoints.checkpoint import load_model, save_checkpoint
from satllm_ros.model.checkpoints.header import read_header
from satllm_ros.model.errors import ModelError
from satllm_ros.model.spec import read_spec
from satllm_ros.model.stage import load_stage
from satllm_ros.model.structure import build

Change = Callable[[dict[str, np.ndarray], dict[str, str]], None]


def changed(source: Path, target: Path, change: Change) -> Path:
    tensors = load_file(source)
    metadata = dict(read_header(source).metadata)
    change(tensors, metadata)
    save_file(tensors, target, metadata)
    return target


def text(**values: Any) -> Change:
    """Set metadata: texts as they are, anything else as JSON."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return lambda tensors, metadata: metadata.update(texts)


HALF = np.float16


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t, m: t.__delitem__("blocks.1.mlp.fc1.weight"), ["lacks blocks.1.mlp.fc1.weight [192, 48]"]),
        (
            lambda t, m: t.__setitem__("blocks.0.ls1.gamma", np.ones(48, HALF)),
            ["has besides blocks.0.ls1.gamma [48]"],
        ),
        (
            lambda t, m: t.__setitem__("head.weight", np.ones((7, 48), HALF)),
            ["another shape", "head.weight [7, 48] (expected [5, 48])"],
        ),
        (
            lambda t, m: t.__setitem__("head.bias", np.ones(5, np.float64)),
            ["head.bias is of type F64", "F16"],
        ),
        (text(classes=["a", "b"]), ["names 2 classes", "expected 5"]),
        (
            text(architecture="eva02_tiny_patch14_224"),
            ["not a checkpoint of eva02_tiny_patch14_224", "lacks"],
        ),
        (text(model_args={**TINY, "depth": 4}), ["lacks blocks.3."]),
        (text(tokens="18"), ["tokens=18", "tokens=17"]),
    ],
)
def test_another_models_checkpoint(vit_checkpoint: Path, tmp_path: Path, change: Change, words: list[str]) -> None:
    path = changed(vit_checkpoint, tmp_path / "other.safetensors", change)
    with pytest.raises(ModelError) as refusal:
        load_stage(path, 1, 2)
    assert all(word in str(refusal.value) for word in [str(path), *words]), refusal.value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t, m: m.__delitem__("architecture"), ["lacks the metadata architecture"]),
        (text(architecture="resnet50"), ["'resnet50'", "vit_*, deit*, vit_*_dinov2, eva02_*, beit*"]),
        (text(model_args="{"), ["model_args", "expected JSON"]),
        (text(model_args=[1]), ["model_args", "expected a JSON object"]),
        (text(mean=[0.1, 0.2]), ["mean", "three numbers"]),
        (text(std=[0.1, 0.2, 0]), ["std", "above 0"]),
        (text(mean="[NaN, 0, 0]"), ["mean", "three numbers"]),
        (text(classes=[]), ["classes", "list of names"]),
        (text(blocks="three"), ["blocks", "'three'", "whole number"]),
        (text(blocks="4"), ["3 blocks, expected 4"]),
        (lambda t, m: t.__setitem__("blocks.7.norm1.weight", np.ones(48, HALF)), ["blocks [1, 2, 3, 8]"]),
        (lambda t, m: t.__setitem__("decoder.weight", np.ones(3, HALF)), ["'decoder.weight'", "no part"]),
    ],
)
def test_header_that_says_too_little_or_wrong(
    vit_checkpoint: Path, tmp_path: Path, change: Change, words: list[str]
) -> None:
    path = changed(vit_checkpoint, tmp_path / "other.safetensors", change)
    with pytest.raises(ModelError) as refusal:
        read_spec(path)
    assert all(word in str(refusal.value) for word in [str(path), *words]), refusal.value


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not weights at all", b"\xff" * 64])
def test_not_a_safetensors_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    for read in (read_spec, load_model, lambda p: load_stage(p, 0, 1)):
        with pytest.raises(ModelError, match="weights.safetensors: not a safetensors file"):
            read(path)


def test_truncated_file(vit_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.safetensors"
    path.write_bytes(vit_checkpoint.read_bytes()[:-100])
    with pytest.raises(ModelError, match="short.safetensors: not a safetensors file"):
        read_spec(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent.safetensors is not a file"):
        read_spec(tmp_path / "absent.safetensors")


def test_load_model_returns_the_saved_weights_as_float32(vit_checkpoint: Path) -> None:
    model = load_model(vit_checkpoint)
    stored = load_file(vit_checkpoint)
    state = model.state_dict()
    assert state.keys() == stored.keys() and not model.training
    for name, value in state.items():
        assert value.dtype == torch.float32
        np.testing.assert_array_equal(value.numpy(), stored[name].astype(np.float32))


def test_load_model_leaves_the_random_state_alone(vit_checkpoint: Path) -> None:
    before = torch.random.get_rng_state()
    load_model(vit_checkpoint)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_same_model_is_saved_as_the_same_file(vit_checkpoint: Path, tmp_path: Path) -> None:
    header = read_header(vit_checkpoint)
    again = tmp_path / "again.safetensors"
    model = load_model(vit_checkpoint)
    save_checkpoint(again, model, header.architecture, header.arguments, header.mean, header.std, header.classes)
    assert again.read_bytes() == vit_checkpoint.read_bytes()


def test_save_keeps_further_metadata(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    model = build("vit_tiny_patch16_224", TINY)
    save_checkpoint(path, model, "vit_tiny_patch16_224", TINY, MEAN, STD, CLASSES, {"licence": "MIT"})
    assert read_header(path).metadata["licence"] == "MIT"


@pytest.mark.parametrize("fault", ["other arguments", "too few classes", "overflow"])
def test_save_refuses_and_writes_nothing(tmp_path: Path, fault: str) -> None:
    model = build("vit_tiny_patch16_224", TINY)
    arguments = {**TINY, "embed_dim": 96} if fault == "other arguments" else TINY
    classes = CLASSES[:2] if fault == "too few classes" else CLASSES
    if fault == "overflow":
        torch.nn.init.constant_(model.head.bias, 1e6)
    with pytest.raises(ModelError):
        save_checkpoint(tmp_path / "m.safetensors", model, "vit_tiny_patch16_224", arguments, MEAN, STD, classes)
    assert list(tmp_path.iterdir()) == []
