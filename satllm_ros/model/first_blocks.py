"""Which blocks a satellite measures at its start, before a plan has given it any."""

from __future__ import annotations

from collections.abc import Sequence

# A satellite measures so many bytes of parameters at its start, at most: more come from no cache either.
MEASURED_BYTES = 256_000_000


def middle_blocks(layer_bytes: Sequence[int], count: int, bound_bytes: float) -> tuple[int, int]:
    """Blocks (start, stop] from the middle: so many, or as many of them as the bound allows, one at least."""
    blocks = len(layer_bytes)
    count = max(1, min(count, blocks))
    while True:
        start = (blocks - count) // 2
        if count == 1 or sum(layer_bytes[start : start + count]) <= bound_bytes:
            return start, start + count
        count -= 1
