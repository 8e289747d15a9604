"""Changed copies of a constellation document."""

import copy
from typing import Any

ABSENT = object()


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
