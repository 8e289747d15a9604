"""Random checkpoints: the same seed is the same file, and the model in it computes something."""

from pathlib import Path
from typing import Any

import pytest
import torch
from test_split_exact import images, run_chain
from tiny_models import CLASSES, MEAN, MEMBERS, STD, TINY

from satllm_ros.model.checkpoints.checkpoint import load_model
from satllm_ros.model.checkpoints.random_weights import save_random_checkpoint
from satllm_ros.model.errors import ModelError
from satllm_ros.model.spec import read_spec


def save_random(path: Path, seed: int, architecture: str = "vit_tiny_patch16_224", **changes: Any) -> Path:
    save_random_checkpoint(path, architecture, {**TINY, **changes}, MEAN, STD, CLASSES, seed=seed)
    return path


def test_the_seed_makes_the_file(tmp_path: Path) -> None:
    first, again, other = (save_random(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()


@pytest.mark.parametrize("member", MEMBERS)
def test_every_structure_loads_splits_and_computes(tmp_path: Path, member: str) -> None:
    architecture, changes = MEMBERS[member]
    path = save_random(tmp_path / "random.safetensors", 1, architecture, **changes)
    x = images(path, tiles=2)
    with torch.inference_mode():
        expected = load_model(path)(x)
    assert expected.isfinite().all() and expected.std() > 0
    assert torch.equal(run_chain(path, x, (1, 2)), expected)


def test_every_image_and_every_block_matters(tmp_path: Path) -> None:
    path = save_random(tmp_path / "random.safetensors", 1)
    spec = read_spec(path)
    model = load_model(path)
    x = images(path, tiles=2)
    with torch.inference_mode():
        expected = model(x)
        assert not torch.equal(expected[0], expected[1])
        for block in range(spec.blocks):
            model.blocks[block].mlp.fc2.weight.mul_(2)
            assert not torch.equal(model(x), expected), block
            model.blocks[block].mlp.fc2.weight.mul_(0.5)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = save_random(tmp_path / "random.safetensors", 1)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="random.safetensors: not a safetensors file"):
        load_model(path)


@pytest.mark.parametrize("architecture", ["resnet50", "vit_no_such_model"])
def test_a_model_that_is_none_leaves_no_file(tmp_path: Path, architecture: str) -> None:
    with pytest.raises(ModelError, match=architecture):
        save_random(tmp_path / "random.safetensors", 1, architecture)
    assert list(tmp_path.iterdir()) == []
