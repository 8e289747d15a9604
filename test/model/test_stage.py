"""A stage holds, reads and accepts its own share and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from safetensors import safe_open

from satllm_ros.assets.paths import DEMO_CHECKPOINT, asset
from satllm_ros.model.checkpoints import tensors
from satllm_ros.model.errors import ModelError
from satllm_ros.model.measure import block_seconds
from satllm_ros.model.spec import read_spec
from satllm_ros.model.stage import load_stage, normalize


@pytest.fixture
def tensors_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the tensors read from a checkpoint from now on."""
    names: list[str] = []
    read = tensors._read

    def spy(file: BinaryIO, name: str, begin: int, layout: tensors.Layout) -> torch.Tensor:
        names.append(name)
        return read(file, name, begin, layout)

    monkeypatch.setattr(tensors, "_read", spy)
    return names


def test_reads_only_its_own_tensors(save: Callable[..., Path], tensors_read: list[str]) -> None:
    path = save("vit_registers")
    parts_read = {
        (0, 1): {"patch_embed", "cls_token", "reg_token", "pos_embed", "blocks.0"},
        (1, 2): {"blocks.1"},
        (1, 3): {"blocks.1", "blocks.2", "fc_norm", "head"},
    }
    with safe_open(path, framework="np") as file:
        stored = sorted(file.keys())
    for (start, stop), parts in parts_read.items():
        tensors_read.clear()
        load_stage(path, start, stop)
        own = [name for name in stored if any(name == part or name.startswith(part + ".") for part in parts)]
        assert sorted(tensors_read) == own


def test_what_blocks_share_is_read_by_every_stage(save: Callable[..., Path], tensors_read: list[str]) -> None:
    path = save("vit_rope_mixed")
    load_stage(path, 1, 2)
    assert "rope.freqs" in tensors_read
    assert not any(name.startswith(("blocks.0", "blocks.2", "head", "patch_embed")) for name in tensors_read)


def test_ruined_bytes_of_other_blocks_change_nothing(vit_checkpoint: Path, tmp_path: Path) -> None:
    content = bytearray(vit_checkpoint.read_bytes())
    data = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:data])
    for name, entry in header.items():
        if name != "__metadata__" and not name.startswith("blocks.1."):
            begin, end = entry["data_offsets"]
            content[data + begin : data + end] = b"\xff" * (end - begin)
    ruined = tmp_path / "ruined.safetensors"
    ruined.write_bytes(content)
    x = torch.randn(2, 17, 48, generator=torch.Generator().manual_seed(0))
    assert torch.equal(load_stage(ruined, 1, 2)(x), load_stage(vit_checkpoint, 1, 2)(x))


def test_memory_is_that_of_its_layers() -> None:
    path = asset(DEMO_CHECKPOINT)
    layer_bytes = read_spec(path).layer_bytes
    for start, stop in ((0, 3), (3, 9), (9, 12), (0, 12)):
        assert load_stage(path, start, stop).memory_bytes == sum(layer_bytes[start:stop])


def test_holds_float32_in_real_memory_without_gradients(member_checkpoint: Path) -> None:
    for start, stop in ((0, 1), (1, 2), (2, 3)):
        stage = load_stage(member_checkpoint, start, stop)
        tensors = [*stage.parameters(), *stage.buffers()]
        assert not any(t.is_meta or t.requires_grad for t in tensors)
        assert all(t.dtype == torch.float32 for t in tensors if t.is_floating_point())
        assert (stage.start, stage.stop, stage.blocks_total) == (start, stop, 3)
        assert not stage.training


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (2, 1), (-1, 2), (0, 4), (3, 4)])
def test_refuses_blocks_the_model_has_not(vit_checkpoint: Path, start: int, stop: int) -> None:
    with pytest.raises(ModelError, match=rf"stage \({start}, {stop}\] .* 3 blocks"):
        load_stage(vit_checkpoint, start, stop)


@pytest.mark.parametrize(
    ("start", "x"),
    [
        (0, torch.zeros(1, 3, 32, 40)),
        (0, torch.zeros(1, 17, 48)),
        (1, torch.zeros(1, 16, 48)),
        (1, torch.zeros(17, 48)),
        (1, torch.zeros(1, 17, 48, dtype=torch.float64)),
    ],
)
def test_refuses_input_of_another_shape_or_type(vit_checkpoint: Path, start: int, x: torch.Tensor) -> None:
    with pytest.raises(ModelError, match="expected torch.float32 of shape"):
        load_stage(vit_checkpoint, start, 3)(x)


def test_normalize_follows_its_equation(vit_checkpoint: Path) -> None:
    spec = read_spec(vit_checkpoint)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    expected = (pixels / 255 - np.array(spec.mean)) / np.array(spec.std)
    result = normalize(pixels, spec)
    assert result.dtype == torch.float32 and result.is_contiguous()
    np.testing.assert_allclose(result.numpy(), expected.transpose(0, 3, 1, 2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 32, 32, 3), np.float32),
        np.zeros((1, 64, 32, 3), np.uint8),
        np.zeros((32, 32, 3), np.uint8),
    ],
)
def test_normalize_refuses_other_images(vit_checkpoint: Path, pixels: np.ndarray) -> None:
    with pytest.raises(ModelError, match=r"expected uint8 of shape \(N, 32, 32, 3\)"):
        normalize(pixels, read_spec(vit_checkpoint))


def test_block_seconds_divides_a_run_by_blocks_and_tiles(vit_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([0, 100, 100, 106, 106, 130, 130, 142])  # warm-up of 100 s, then runs of 6, 24 and 12 s
    monkeypatch.setattr("satllm_ros.model.measure.time.thread_time", lambda: float(next(readings)))
    assert block_seconds(load_stage(vit_checkpoint, 0, 2), tiles=2, repeats=3) == 12 / (2 * 2)


@pytest.mark.parametrize(("tiles", "repeats"), [(0, 1), (1, 0)])
def test_block_seconds_refuses_to_measure_nothing(vit_checkpoint: Path, tiles: int, repeats: int) -> None:
    with pytest.raises(ModelError, match="at least 1"):
        block_seconds(load_stage(vit_checkpoint, 1, 2), tiles, repeats)
