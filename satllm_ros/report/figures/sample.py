"""Which tiles the unsplit model is run on, and what a share of a sample says about all."""

import math
import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")

# How many of the tiles that came down are compared: as a number, these two stand for every one and for none.
DEFAULT, ALL, NONE = 500, -1, 0
# Two-sided, 95 %.
_Z = 1.959963984540054


def parse_reference(text: str) -> int:
    """Number of tiles to compare, of the words that `--reference` and `reference:=` take; ValueError for others."""
    word = text.strip().lower()
    if word in ("all", "none"):
        return ALL if word == "all" else NONE
    if word.isascii() and word.isdigit() and int(word) > 0:
        return min(int(word), 2**31 - 1)
    raise ValueError(f"reference is {text!r}; allowed are a number of tiles from 1, all, and none")


def even_sample(items: Sequence[Item], wanted: int) -> list[Item]:
    """So many items, one from each of as many equal stretches: even over all, the same at every call.

    The place within a stretch is drawn: a fixed one would follow whatever repeats, such as the columns of a frame.
    """
    if wanted == ALL or wanted >= len(items):
        return list(items)
    draw = random.Random(len(items))
    edges = [k * len(items) // wanted for k in range(wanted + 1)]
    return [items[draw.randrange(start, stop)] for start, stop in zip(edges, edges[1:], strict=False)]


def wilson_interval(hits: int, trials: int) -> tuple[float, float]:
    """Interval of 95 % for a share of which `hits` of `trials` were seen (Wilson 1927); trials >= 1.

    (p + z²/2n ± z √(p(1 - p)/n + z²/4n²)) / (1 + z²/n), with p = hits / n.
    """
    share, spread = hits / trials, _Z * _Z / trials
    half = _Z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    low, high = ((share + spread / 2 + sign * half) / (1 + spread) for sign in (-1, 1))
    # At the ends, rounding would leave the share itself outside.
    return min(max(0.0, low), share), max(min(1.0, high), share)
