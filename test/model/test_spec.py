"""A specification is read without torch, and says what the model is."""

import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file, save_file
from tiny_models import CLASSES, MEAN, STD
from torch.utils.flop_counter import FlopCounterMode

from satllm_ros.assets.paths import DEMO_CHECKPOINT, asset
from satllm_ros.model.checkpoints.checkpoint import load_model
from satllm_ros.model.checkpoints.header import REQUIRED, read_header
from satllm_ros.model.cost import layer_flops
from satllm_ros.model.errors import ModelError
from satllm_ros.model.spec import read_spec
from satllm_ros.model.structure import build_meta


def test_shipped_model() -> None:
    path = asset(DEMO_CHECKPOINT)
    spec = read_spec(path)
    sizes = (spec.blocks, spec.tokens, spec.prefix_tokens, spec.width, spec.image_height, spec.image_width)
    assert sizes == (12, 65, 1, 192, 64, 64)
    assert len(spec.classes) == 10 and spec.classes[-1] == "SeaLake"
    assert spec.model_id == sha256(path.read_bytes()).hexdigest()[:16]
    assert sum(spec.layer_bytes) == sum(4 * t.size for t in load_file(path).values())


def test_needs_no_torch() -> None:
    program = (
        "import sys\n"
        "from satllm_ros.assets.paths import DEMO_CHECKPOINT, asset\n"
        "from satllm_ros.model.cost import layer_flops\n"
        "from satllm_ros.model.spec import read_spec\n"
        "layer_flops(read_spec(asset(DEMO_CHECKPOINT)))\n"
        "assert not {'torch', 'timm'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_sizes_stated_equal_sizes_measured(member_checkpoint: Path, tmp_path: Path) -> None:
    metadata = {key: read_header(member_checkpoint).metadata[key] for key in REQUIRED}
    bare = tmp_path / "bare.safetensors"
    save_file(load_file(member_checkpoint), bare, metadata)
    stated = read_spec(member_checkpoint)
    assert replace(read_spec(bare), model_id=stated.model_id) == stated
    assert (stated.mean, stated.std, stated.classes) == (MEAN, STD, CLASSES)


def test_layer_bytes_count_the_shared_part_in_every_layer(member_checkpoint: Path) -> None:
    spec = read_spec(member_checkpoint)
    state = load_model(member_checkpoint).state_dict()
    shared = ("rope.", "rel_pos_bias.", "shared_rel_pos.")
    total = sum(t.nbytes for t in state.values())
    again = (spec.blocks - 1) * sum(t.nbytes for name, t in state.items() if name.startswith(shared))
    assert sum(spec.layer_bytes) == total + again


def test_layer_flops_equal_those_counted_by_torch(member_checkpoint: Path) -> None:
    spec = read_spec(member_checkpoint)
    # On the meta device, where torch does not hide attention in one fused kernel that its counter misses.
    model = build_meta(spec.architecture, spec.arguments).requires_grad_(False)
    if shared := getattr(model, "shared_rel_pos", None):
        bias = shared.get_bias()
        shared.get_bias = lambda: bias  # stages compute it once, when they load
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, spec.image_height, spec.image_width, device="meta"))
    assert sum(layer_flops(spec)) == counter.get_total_flops()


def test_layer_flops_of_the_plain_vit_by_hand(vit_checkpoint: Path) -> None:
    tokens, width, hidden = 17, 48, 192
    block = 2 * tokens * (4 * width**2 + 2 * width * hidden) + 4 * tokens**2 * width
    embed = 2 * 16 * 3 * 8 * 8 * width
    assert layer_flops(read_spec(vit_checkpoint)) == (block + embed, block, block + 2 * width * 5)


def test_layer_flops_need_shapes(vit_checkpoint: Path) -> None:
    with pytest.raises(ModelError, match="no tensor shapes"):
        layer_flops(replace(read_spec(vit_checkpoint), shapes={}))


@pytest.mark.parametrize(
    "text", ["bands", "[]", '{"bands": [4, 3]}', '{"scale": 1}', '{"resize": 8, "resampling": "x"}']
)
def test_garbled_rules_of_pixels_are_named(member_checkpoint: Path, tmp_path: Path, text: str) -> None:
    metadata = {key: read_header(member_checkpoint).metadata[key] for key in REQUIRED}
    garbled = tmp_path / "garbled.safetensors"
    save_file(load_file(member_checkpoint), garbled, metadata | {"pixels": text})
    with pytest.raises(ModelError, match="garbled.safetensors: metadata pixels: "):
        read_spec(garbled)
