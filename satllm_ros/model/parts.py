"""To which part of a model a tensor belongs, by its name alone."""

import re
from collections.abc import Iterable

from satllm_ros.model.errors import ModelError

EMBED = frozenset({"patch_embed", "cls_token", "reg_token", "dist_token", "pos_embed", "norm_pre"})
HEAD = frozenset({"norm", "fc_norm", "attn_pool", "head", "head_dist"})
SHARED = frozenset({"rope", "rel_pos_bias", "shared_rel_pos"})

_BLOCK = re.compile(r"blocks\.(\d+)\.")


def layers_of(name: str, blocks_total: int) -> range:
    """Layers (counted from 1) that need a tensor.

    Block tensors belong to their own layer, the embed part to layer 1, the head to layer `blocks_total`; what
    every block receives besides its input (rotary frequencies, a shared position bias) to all of them.

    Raises
    ------
    ModelError
        If the name belongs to no part of a supported model.
    """
    if match := _BLOCK.match(name):
        layer = int(match[1]) + 1
        return range(layer, layer + 1)
    top = name.partition(".")[0]
    if top in EMBED:
        return range(1, 2)
    if top in HEAD:
        return range(blocks_total, blocks_total + 1)
    if top in SHARED:
        return range(1, blocks_total + 1)
    raise ModelError(f"tensor {name!r} belongs to no part (embed, blocks, head) of a supported model")


def is_needed(name: str, start: int, stop: int, blocks_total: int) -> bool:
    """Whether the stage of blocks (start, stop] needs the tensor of that name."""
    layers = layers_of(name, blocks_total)
    return layers.start <= stop and layers.stop > start + 1


def check_blocks(start: int, stop: int, blocks_total: int) -> None:
    """Refuse (start, stop] that is no part of a model of so many blocks."""
    if not 0 <= start < stop <= blocks_total:
        raise ModelError(
            f"stage ({start}, {stop}] is no part of a model of {blocks_total} blocks; "
            f"allowed is 0 <= start < stop <= {blocks_total}"
        )


def count_blocks(names: Iterable[str]) -> int:
    """Number of blocks that the tensors belong to, given that none is left out."""
    indices = {int(match[1]) for name in names if (match := _BLOCK.match(name))}
    if indices != set(range(len(indices))):
        raise ModelError(f"it has tensors of blocks {sorted(i + 1 for i in indices)}, expected all from block 1 on")
    return len(indices)
