"""The order of files by name: as a person would sort them, and the same on every computer."""

from __future__ import annotations

import re
from typing import Any


def natural_key(name: str) -> tuple[Any, ...]:
    """Key to sort names by: numbers in them by their value, letters whether capital or not, whatever the language.

    `img_2.jpg` comes before `img_10.jpg`, `a.jpg` before `B.jpg`. No two names are equal.
    """
    parts = re.split(r"(\d+)", name)
    # Text and numbers alternate, so that like is compared with like; where one name ends, the shorter comes first.
    keys = [(int(part), "") if place % 2 else (-1, part.casefold()) for place, part in enumerate(parts)]
    return (*keys, (-2, name))
