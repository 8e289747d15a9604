"""The error of this room."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ModelError(ValueError):
    """A model, checkpoint or split that cannot be used; says what was wrong and what is allowed."""


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Put the name of a file before any `ModelError` raised within."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
