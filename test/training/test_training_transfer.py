"""A checkpoint trained further for other classes, image sizes and patch sizes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from satllm_ros.assets.paths import DEMO_CHECKPOINT, asset
from satllm_ros.model.checkpoints.checkpoint import load_model
from satllm_ros.model.spec import read_spec
from satllm_ros.model.structure import build
from satllm_ros.training.beginning import Start
from satllm_ros.training.recipe import Recipe, TrainingError
from satllm_ros.training.train import CHECKPOINT, train
from satllm_ros.training.transfer import transfer

LARGER = {"img_size": 32, "patch_size": 16, "embed_dim": 16, "depth": 2, "num_heads": 2}


@pytest.fixture(scope="module")
def other_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32x32 images of two classes: light and dark."""
    root = tmp_path_factory.mktemp("other")
    generator = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 4)):
        for name, base in (("dark", 0), ("light", 150)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(base, base + 100, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def start(colored_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Start:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("start") / "out"
    arguments = {**LARGER, "img_size": 16, "patch_size": 8}
    train(colored_data, out, Recipe(arguments=arguments, epochs=1, batch_size=16))
    return Start(out / CHECKPOINT, read_spec(out / CHECKPOINT))


@pytest.fixture
def recipe(start: Start) -> Recipe:
    assert start.spec is not None
    return Recipe(arguments=LARGER, epochs=1, batch_size=16, learning_rate=1e-6, init=start.spec.model_id)


def test_resampled_patches_see_the_same_in_an_image_of_another_size() -> None:
    small = load_model(asset(DEMO_CHECKPOINT))
    large = build("vit_tiny_patch16_224", {"img_size": 256, "patch_size": 32, "num_classes": 10})
    transfer(asset(DEMO_CHECKPOINT), large, with_head=True)
    generator = torch.Generator().manual_seed(0)
    images = torch.nn.functional.interpolate(torch.randn(8, 3, 16, 16, generator=generator), size=64, mode="bicubic")
    enlarged = torch.nn.functional.interpolate(images, size=256, mode="bicubic")
    with torch.inference_mode():
        expected, found = small(images), large(enlarged)
    assert torch.nn.functional.cosine_similarity(expected, found).min() > 0.99
    assert torch.equal(expected.argmax(dim=1), found.argmax(dim=1))


def test_other_classes_get_a_fresh_head_and_all_else_is_kept(
    start: Start, recipe: Recipe, other_data: Path, tmp_path: Path
) -> None:
    rows = train(other_data, tmp_path, recipe, start=start)
    assert [row.name for row in rows] == ["dark", "light", "all"]
    spec = read_spec(tmp_path / CHECKPOINT)
    assert start.spec is not None
    assert spec.classes == ("dark", "light") and spec.image_height == 32 and spec.mean == start.spec.mean
    before, after = load_file(start.checkpoint), load_file(tmp_path / CHECKPOINT)
    assert after["head.weight"].shape == (2, 16)
    for name in ("blocks.0.attn.qkv.weight", "blocks.1.mlp.fc2.weight", "pos_embed"):
        assert torch.allclose(after[name].float(), before[name].float(), atol=1e-3), name


def test_a_file_of_timms_has_no_metadata_and_needs_no_head(
    start: Start, recipe: Recipe, other_data: Path, tmp_path: Path
) -> None:
    state = {name: tensor for name, tensor in load_file(start.checkpoint).items() if not name.startswith("head.")}
    save_file(state, tmp_path / "timm.safetensors")
    train(other_data, tmp_path / "out", recipe, start=Start(tmp_path / "timm.safetensors", None))
    after = load_file(tmp_path / "out" / CHECKPOINT)
    assert torch.allclose(after["cls_token"].float(), state["cls_token"].float(), atol=1e-3)

    del state["blocks.1.norm1.weight"]
    save_file({**state, "extra": torch.zeros(1)}, tmp_path / "less.safetensors")
    with pytest.raises(TrainingError, match=r"lacks blocks\.1\.norm1\.weight; it has besides extra"):
        train(other_data, tmp_path / "none", recipe, start=Start(tmp_path / "less.safetensors", None))


def test_another_width_is_refused(start: Start, recipe: Recipe, other_data: Path, tmp_path: Path) -> None:
    wider = replace(recipe, arguments={**LARGER, "embed_dim": 32})
    with pytest.raises(TrainingError, match="has in another shape blocks"):
        train(other_data, tmp_path, wider, start=start)


def test_what_is_no_safetensors_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"no")
    with pytest.raises(TrainingError, match=r"weights\.bin is not a safetensors file"):
        transfer(tmp_path / "weights.bin", build("vit_tiny_patch16_224", {**LARGER, "num_classes": 2}), with_head=False)


def test_codecs_are_learned_for_the_very_model_only(
    start: Start, recipe: Recipe, other_data: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="train without --compress first"):
        train(other_data, tmp_path, replace(recipe, compress="mask"), start=start)
