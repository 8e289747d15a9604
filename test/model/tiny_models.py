"""Tiny models of every supported structure, with random weights that make every part matter."""

from pathlib import Path
from typing import Any

import torch

from satllm_ros.model.checkpoints.checkpoint import save_checkpoint
from satllm_ros.model.structure import build

torch.set_num_threads(1)

MEAN = (0.3, 0.4, 0.5)
STD = (0.2, 0.1, 0.3)
CLASSES = ("crop", "forest", "river", "road", "sea")
TINY: dict[str, Any] = {
    "depth": 3,
    "embed_dim": 48,
    "num_heads": 3,
    "img_size": 32,
    "patch_size": 8,
    "num_classes": len(CLASSES),
}
MEMBERS: dict[str, tuple[str, dict[str, Any]]] = {
    "vit": ("vit_tiny_patch16_224", {}),
    "vit_patch_drop": ("vit_tiny_patch16_224", {"patch_drop_rate": 0.5, "drop_path_rate": 0.2}),
    "vit_rectangular": ("vit_tiny_patch16_224", {"img_size": [32, 48]}),
    "vit_registers": ("vit_betwixt_patch16_reg4_gap_256", {}),
    "vit_clip": ("vit_base_patch16_clip_224", {}),
    "vit_map_pool": ("vit_base_patch16_siglip_224", {}),
    "vit_res_post_no_class_token": ("vit_base_patch16_rpn_224", {}),
    "vit_parallel": ("vit_small_patch16_18x2_224", {}),
    "vit_differential": ("vit_dpwee_patch16_reg1_gap_256", {}),
    "vit_hybrid": ("vit_tiny_r_s16_p8_224", {"patch_size": 1}),
    "vit_hybrid_batch_norm": ("vit_small_resnet26d_224", {"patch_size": 1, "img_size": 64}),
    "vit_relpos": ("vit_relpos_small_patch16_224", {}),
    "vit_relpos_shared": ("vit_srelpos_small_patch16_224", {}),
    "vit_rope": ("vit_small_patch16_rope_224", {}),
    "vit_rope_mixed": ("vit_small_patch16_rope_mixed_224", {}),
    "vit_dynamic_size": ("vit_intern300m_patch14_448", {}),
    "dinov2": ("vit_small_patch14_dinov2", {}),
    "dinov2_registers": ("vit_small_patch14_reg4_dinov2", {}),
    "dinov3": ("vit_small_patch16_dinov3", {}),
    "deit": ("deit_tiny_patch16_224", {}),
    "deit_distilled": ("deit_tiny_distilled_patch16_224", {}),
    "deit3": ("deit3_small_patch16_224", {}),
    "eva02": ("eva02_tiny_patch14_224", {}),
    "eva02_clip": ("eva02_base_patch16_clip_224", {}),
    "eva02_post_norm": ("eva02_enormous_patch14_clip_224", {}),
    "beit": ("beit_base_patch16_224", {}),
    "beit_shared_bias": (
        "beit_base_patch16_224",
        {"use_shared_rel_pos_bias": True, "use_rel_pos_bias": False},
    ),
    "beitv2": ("beitv2_base_patch16_224", {}),
    "beit3": ("beit3_base_patch16_224", {}),
}


def save_member(folder: Path, member: str, seed: int = 1, **overrides: Any) -> Path:
    """Save the checkpoint of a tiny model; every weight is random, those that timm starts at 0 or 1 too."""
    architecture, changes = MEMBERS[member]
    arguments = {**TINY, **changes, **overrides}
    model = build(architecture, arguments)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    path = folder / f"{member}.safetensors"
    save_checkpoint(path, model, architecture, arguments, MEAN, STD, CLASSES[: arguments["num_classes"]])
    return path
