"""timm's vision transformers seen as embed, blocks and head, and what blocks receive besides their input."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from satllm_ros.model.errors import ModelError
from satllm_ros.model.families import check_family
from satllm_ros.model.geometry import Geometry
from satllm_ros.model.lean_timm import import_timm, without_compiler

timm = import_timm()
Beit = timm.models.beit.Beit
Eva = timm.models.eva.Eva
VisionTransformer = timm.models.vision_transformer.VisionTransformer
VisionTransformerDistilled = timm.models.deit.VisionTransformerDistilled
VisionTransformerRelPos = timm.models.vision_transformer_relpos.VisionTransformerRelPos

# They would load other weights, or make something else than a float32 classifier with timm's own structure.
_RESERVED_ARGUMENTS = frozenset(
    "pretrained pretrained_cfg pretrained_cfg_overlay pretrained_strict checkpoint_path cache_dir "
    "features_only out_indices scriptable exportable no_jit device dtype".split()
)


@dataclass(frozen=True)
class Structure:
    """How one timm class is taken apart.

    Attributes
    ----------
    embed
        (model, images (N, 3, H, W)) -> input of block 1 (N, S, D).
    context
        (model, its patch grid (rows, columns)) -> what its blocks receive besides their input, or None.
    keyword
        Name of the block's argument that takes it.
    """

    embed: Callable[[Any, Tensor], Tensor]
    context: Callable[[Any, tuple[int, int]], Tensor | None]
    keyword: str


def _embed_vit(model: Any, images: Tensor) -> Tensor:
    embedded: Tensor = model.norm_pre(model.patch_drop(model._pos_embed(model.patch_embed(images))))
    return embedded


def _embed_eva(model: Any, images: Tensor) -> Tensor:
    x, _ = model._pos_embed(model.patch_embed(images))
    embedded: Tensor = model.norm_pre(x)
    return embedded


def _embed_beit(model: Any, images: Tensor) -> Tensor:
    x = model.patch_embed(images)
    x = torch.cat((model.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
    if model.pos_embed is not None:
        x = x + model.pos_embed
    embedded: Tensor = model.pos_drop(x)
    return embedded


def _embed_relpos(model: Any, images: Tensor) -> Tensor:
    x = model.patch_embed(images)
    return x if model.cls_token is None else torch.cat((model.cls_token.expand(x.shape[0], -1, -1), x), dim=1)


def _rotary(model: Any, grid: tuple[int, int]) -> Tensor | None:
    if model.rope is None:
        return None
    # As timm does it: the module keeps a table of fixed size, any other is computed for the grid at hand.
    if model.dynamic_img_size or not hasattr(model.rope, "feat_shape"):
        angles: Tensor | None = model.rope.get_embed(shape=grid)
    else:
        angles = model.rope.get_embed()
    return angles


def _shared_bias_beit(model: Any, grid: tuple[int, int]) -> Tensor | None:
    return None if model.rel_pos_bias is None else model.rel_pos_bias()


def _shared_bias_relpos(model: Any, grid: tuple[int, int]) -> Tensor | None:
    return None if model.shared_rel_pos is None else model.shared_rel_pos.get_bias()


_VIT = Structure(_embed_vit, lambda model, grid: None, "")
_STRUCTURES: dict[type[nn.Module], Structure] = {
    VisionTransformer: _VIT,
    VisionTransformerDistilled: _VIT,
    Eva: Structure(_embed_eva, _rotary, "rope"),
    Beit: Structure(_embed_beit, _shared_bias_beit, "shared_rel_pos_bias"),
    VisionTransformerRelPos: Structure(_embed_relpos, _shared_bias_relpos, "shared_rel_pos"),
}


def structure_of(model: nn.Module) -> Structure:
    """How to take a model apart; refuses a class that no structure is known for."""
    structure = _STRUCTURES.get(type(model))
    if structure is None:
        known = ", ".join(cls.__name__ for cls in _STRUCTURES)
        raise ModelError(f"a model of class {type(model).__name__} cannot be split; known classes are {known}")
    return structure


def run_head(model: Any, x: Tensor) -> Tensor:
    """Logits (N, E) from the output of the last block (N, S, D)."""
    logits: Tensor = model.forward_head(model.norm(x))
    return logits


def build(architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The whole timm model with fresh weights, in eval mode, on the default device.

    Raises
    ------
    ModelError
        If the model is of no supported family or class, or timm refuses its arguments.
    """
    check_family(architecture)
    if not timm.is_model(architecture):
        raise ModelError(f"timm {timm.__version__} has no model {architecture!r}")
    if reserved := sorted(_RESERVED_ARGUMENTS.intersection(arguments)):
        raise ModelError(f"model arguments {', '.join(reserved)} are not allowed; give those of the architecture only")
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
    try:
        model: nn.Module = timm.create_model(architecture, pretrained=False, **given)
    except Exception as error:  # timm raises whatever a wrong argument leads to
        raise ModelError(f"timm cannot build {architecture!r} with arguments {dict(arguments)}: {error}") from error
    structure_of(model)
    return model.eval()


def compute_tables(model: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Fill the tables that timm computes rather than stores: rotary angles, position indices.

    Parameters
    ----------
    dtype
        Type of those that hold floating-point numbers; they are computed in float32 first, as timm does.
    """
    for module in model.modules():
        tables = {name: table for name, table in module.named_buffers(recurse=False) if table.is_meta}
        for name, table in tables.items():
            setattr(module, name, torch.empty_like(table, device=device))
        if not tables:
            continue
        cast(Any, module).init_non_persistent_buffers()
        for name in tables:
            table = getattr(module, name)
            setattr(module, name, table.to(dtype) if table.is_floating_point() else table)


def build_meta(architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
    """As `build`, on torch's meta device: shapes without memory."""
    with torch.device("meta"), without_compiler():
        return build(architecture, arguments)


@torch.inference_mode()
@without_compiler()
def measure_geometry(model: Any) -> Geometry:
    """Sizes of a model that lives on the meta device, found by running its embed part and its head there.

    Raises
    ------
    ModelError
        If it does not take RGB images or does not return one vector of logits per image.
    """
    name = type(model).__name__
    height, width = model.patch_embed.img_size
    if model.in_chans != 3:
        raise ModelError(f"{name} takes {model.in_chans} channels, expected 3 (RGB)")
    tokens = _embed_meta(model)
    grid_height, grid_width = model.patch_embed.grid_size
    if tokens.shape[1] != model.num_prefix_tokens + grid_height * grid_width:
        raise ModelError(f"{name}: images of {height} x {width} pixels are not a whole number of patches")
    logits = run_head(model, tokens)
    if model.num_classes < 1 or logits.shape != (1, model.num_classes):
        raise ModelError(
            f"{name} returns {tuple(logits.shape[1:])} per image, expected one logit per class: "
            f"num_classes is {model.num_classes} and global_pool {model.global_pool!r}"
        )
    return Geometry(len(model.blocks), tokens.shape[1], model.num_prefix_tokens, tokens.shape[2], height, width)


@torch.inference_mode()
def is_channel_major(model: Any) -> bool:
    """Whether the activations of a model on the meta device lie in memory as (N, D, S) rather than (N, S, D).

    They do where nothing is put before the patches: these remain a transposed view of the patch embedding's
    output, and each block's residual sum keeps that order. Pooling adds up in memory order, so the last bits
    of the logits depend on it.
    """
    return not _embed_meta(model).is_contiguous()


def _embed_meta(model: Any) -> Tensor:
    return structure_of(model).embed(model, torch.empty(1, 3, *model.patch_embed.img_size, device="meta"))
