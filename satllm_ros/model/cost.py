"""What a layer computes, counted from the shapes of its weights."""

from math import prod

from satllm_ros.model.errors import ModelError
from satllm_ros.model.spec import ModelSpec

_PATCHES = "patch_embed.proj.weight"
_ATTENTION_OUTPUTS = ("attn.proj.weight", "attn_out_proj.weight")
_NOT_MULTIPLIED = ("relative_position_bias_table",)


def layer_flops(spec: ModelSpec) -> tuple[int, ...]:
    """Floating point operations of each layer for one tile, two per multiply-accumulate.

    A block of S tokens whose weight matrices hold w elements and whose attention output has width A takes
    2 S w + 4 S^2 A. The patch embedding, 2 P w for P patches, counts in layer 1; the head, 2 w on the pooled
    token, counts in layer L. Normalization, activations and sums are left out.

    Returns
    -------
    tuple[int, ...]
        FLOPs of the L layers.

    Raises
    ------
    ModelError
        If the specification lacks the tensor shapes that `read_spec` gives.
    """
    if not spec.shapes:
        raise ModelError("this model specification has no tensor shapes; take it from read_spec")
    layers = [_block_flops(spec, _under(spec, f"blocks.{index}.")) for index in range(spec.blocks)]
    layers[0] += _embed_flops(spec)
    layers[-1] += _head_flops(spec)
    return tuple(layers)


def _under(spec: ModelSpec, prefix: str) -> dict[str, tuple[int, ...]]:
    return {name.removeprefix(prefix): shape for name, shape in spec.shapes.items() if name.startswith(prefix)}


def _block_flops(spec: ModelSpec, shapes: dict[str, tuple[int, ...]]) -> int:
    matrices = {n: s for n, s in shapes.items() if len(s) == 2 and not n.endswith(_NOT_MULTIPLIED)}
    # Queries meet keys, then weights meet values; differential attention weighs the values twice.
    passes = 3 if any("lambda_" in name for name in shapes) else 2
    flops = 0
    for name, shape in matrices.items():
        rows = _relative_positions(spec) if ".rel_pos." in name else spec.tokens
        flops += 2 * rows * prod(shape)
        flops += 2 * passes * spec.tokens**2 * _attention_width(name, shape)
    return flops


def _attention_width(name: str, shape: tuple[int, ...]) -> int:
    # A fused projection takes the MLP's output beside the attention's, so only its output has the width.
    if name == "out_proj.weight":
        return shape[0]
    return shape[1] if name.endswith(_ATTENTION_OUTPUTS) else 0


def _relative_positions(spec: ModelSpec) -> int:
    _, _, patch_height, patch_width = spec.shapes[_PATCHES]
    return (2 * (spec.image_height // patch_height) - 1) * (2 * (spec.image_width // patch_width) - 1)


def _embed_flops(spec: ModelSpec) -> int:
    if any(name.startswith("patch_embed.backbone.") for name in spec.shapes):
        # Shapes alone do not tell the resolution at which each convolution of a stem runs.
        from satllm_ros.model.stem_cost import stem_flops

        return stem_flops(spec)
    return 2 * (spec.tokens - spec.prefix_tokens) * prod(spec.shapes[_PATCHES])


def _head_flops(spec: ModelSpec) -> int:
    flops = sum(2 * prod(spec.shapes[name]) for name in ("head.weight", "head_dist.weight") if name in spec.shapes)
    pool = _under(spec, "attn_pool.")
    for name, shape in pool.items():
        if len(shape) == 2:
            flops += 2 * prod(shape) * (spec.tokens if name == "kv.weight" else 1)
        if name == "proj.weight":
            flops += 4 * spec.tokens * shape[1]
    return flops
