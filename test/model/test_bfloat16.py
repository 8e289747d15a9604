"""bfloat16 checkpoints are held and computed in bfloat16, and split as exactly as all others."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_split_exact import images, run_chain
from tiny_models import CLASSES, MEAN, MEMBERS, STD, TINY

from satllm_ros.model.checkpoints.checkpoint import load_model, save_checkpoint
from satllm_ros.model.checkpoints.header import read_header
from satllm_ros.model.errors import ModelError
from satllm_ros.model.spec import read_spec
from satllm_ros.model.stage import load_stage


@pytest.fixture(scope="module", params=MEMBERS)
def bfloat16_checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bfloat16 checkpoint of each tiny model in turn."""
    architecture, changes = MEMBERS[request.param]
    return save_bfloat16(tmp_path_factory.mktemp("bfloat16"), architecture, {**TINY, **changes})


def save_bfloat16(folder: Path, architecture: str, arguments: dict[str, object]) -> Path:
    from satllm_ros.model.structure import build

    model = build(architecture, arguments)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    path = folder / "model.safetensors"
    save_checkpoint(path, model.to(torch.bfloat16), architecture, arguments, MEAN, STD, CLASSES)
    return path


def test_every_cut_set_gives_the_unsplit_logits(bfloat16_checkpoint: Path) -> None:
    x = images(bfloat16_checkpoint, tiles=2)
    with torch.inference_mode():
        expected = load_model(bfloat16_checkpoint)(x)
    assert expected.dtype == torch.float32 and expected.std() > 0
    assert torch.equal(expected, expected.to(torch.bfloat16).to(torch.float32))
    for cuts in (cuts for count in range(3) for cuts in combinations((1, 2), count)):
        assert torch.equal(run_chain(bfloat16_checkpoint, x, cuts), expected), cuts


def test_the_unsplit_model_is_timms_own(tmp_path: Path) -> None:
    from satllm_ros.model.structure import build

    path = save_bfloat16(tmp_path, "vit_tiny_patch16_224", TINY)
    model = build("vit_tiny_patch16_224", TINY).to(torch.bfloat16)
    model.load_state_dict(load_file(path))
    x = images(path, tiles=2)
    with torch.inference_mode():
        assert torch.equal(load_model(path)(x), model(x.to(torch.bfloat16)).to(torch.float32))


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    path = save_bfloat16(tmp_path, "vit_tiny_patch16_224", TINY)
    assert set(read_header(path).dtypes.values()) == {"BF16"}
    stored, state = load_file(path), load_model(path).state_dict()
    assert state.keys() == stored.keys()
    assert all(value.dtype == torch.bfloat16 and torch.equal(value, stored[name]) for name, value in state.items())


def test_the_same_model_is_saved_as_the_same_file(tmp_path: Path) -> None:
    path = save_bfloat16(tmp_path, "vit_tiny_patch16_224", TINY)
    again = tmp_path / "again.safetensors"
    save_checkpoint(again, load_model(path), "vit_tiny_patch16_224", TINY, MEAN, STD, CLASSES)
    assert again.read_bytes() == path.read_bytes()


def test_memory_is_that_of_its_layers_and_half_of_float32(tmp_path: Path, save: Callable[..., Path]) -> None:
    path = save_bfloat16(tmp_path, "vit_tiny_patch16_224", TINY)
    layer_bytes = read_spec(path).layer_bytes
    assert [2 * count for count in layer_bytes] == list(read_spec(save("vit")).layer_bytes)
    for start, stop in ((0, 1), (1, 2), (1, 3), (0, 3)):
        stage = load_stage(path, start, stop)
        assert stage.memory_bytes == sum(layer_bytes[start:stop])
        assert {tensor.dtype for tensor in stage.parameters()} == {torch.bfloat16}


def test_a_file_cut_short_after_its_header_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from satllm_ros.model import stage

    path = save_bfloat16(tmp_path, "vit_tiny_patch16_224", TINY)
    header = read_header(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_stage(path, 0, 3)
    monkeypatch.setattr(stage, "read_header", lambda _: header)
    with pytest.raises(ModelError, match=r"model.safetensors: tensor \S+ ends after \d+ bytes, expected \d+"):
        load_stage(path, 0, 3)
