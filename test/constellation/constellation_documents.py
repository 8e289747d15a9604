"""Changed copies of a constellation document."""

import copy
from enum import Enum
from typing import Any


class Absence(Enum):
    """Not `object()`: its address in the names of tests would differ between the workers that run them."""

    ABSENT = "absent"


ABSENT = Absence.ABSENT


def changed(document: dict[str, Any], *path: str | int, value: Any) -> dict[str, Any]:
    """The document with one field set, or taken away if the value is ABSENT."""
    made = copy.deepcopy(document)
    owner = made
    for step in path[:-1]:
        owner = owner[step]
    if value is ABSENT:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return made
