"""The end of a `match` over all actions of a machine: a case that is missing breaks the type check, and the run."""

from __future__ import annotations

from typing import NoReturn


def unhandled(action: NoReturn) -> NoReturn:
    """Never reached: a type checker takes the argument only if no kind of action is left."""
    raise AssertionError(f"nothing is done about {action!r}")
