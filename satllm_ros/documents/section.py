"""Reads a document field by field and complains in one sentence that names the field."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import yaml

_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+\Z", re.ASCII)


class DocumentError(ValueError):
    """A file that does not say what it must; the message names the field."""


class Section:
    """One mapping of the file; every getter names the field it complains about."""

    def __init__(self, where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise DocumentError(f"{where} is {type(value).__name__}; a mapping is needed")
        self.where = where
        self._value = value
        self._read: set[str] = set()

    def section(self, key: str, default: dict[str, Any] | None = None) -> Section:
        return Section(f"{self.where}: {key}", self._get(key, default))

    @property
    def keys(self) -> list[Any]:
        """Names of the fields that stand there, read or not."""
        return list(self._value)

    def sections(self, key: str) -> list[Section]:
        value = self._get(key)
        if not isinstance(value, list) or not value:
            raise DocumentError(f"{self.where}: {key} is {value!r}; a list of at least one is needed")
        return [Section(f"{self.where}: {key}[{i}]", item) for i, item in enumerate(value)]

    def text(self, key: str, default: str | None = None) -> str:
        value = self._get(key, default)
        if not isinstance(value, str):
            raise DocumentError(f"{self.where}: {key} is {value!r}; a string is needed (in quotes)")
        return value

    def texts(self, key: str) -> list[str]:
        value = self._get(key)
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            raise DocumentError(f"{self.where}: {key} is {value!r}; a list of at least one string is needed")
        return value

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self._get(key)
        if value not in allowed:
            raise DocumentError(f"{self.where}: {key} is {value!r}; allowed are {', '.join(allowed)}")
        return str(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise DocumentError(f"{self.where}: {key} is {value!r}; true or false is needed")
        return value

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        value = self._get(key, default)
        # PyYAML takes 1e9 for a text, as YAML 1.1 says; to everyone else it is a number.
        if isinstance(value, str) and _EXPONENT.match(value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise DocumentError(f"{self.where}: {key} is {value!r}; a number from {low:g} to {high:g} is needed")
        return float(value)

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self.number(key, low, high, default)
        if value != int(value):
            raise DocumentError(f"{self.where}: {key} is {value!r}; a whole number is needed")
        return int(value)

    def value(self, key: str) -> Any:
        """What stands there, unchecked; None if nothing does."""
        self._read.add(key)
        return self._value.get(key)

    def refuse_unknown(self) -> None:
        unknown = sorted(set(self._value) - self._read, key=str)
        if unknown:
            near = difflib.get_close_matches(str(unknown[0]), self._read, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise DocumentError(
                f"{self.where}: unknown field {unknown[0]!r}; {hint}known are {', '.join(sorted(self._read))}"
            )

    def _get(self, key: str, default: Any = None) -> Any:
        self._read.add(key)
        if key not in self._value:
            if default is None:
                raise DocumentError(f"{self.where}: {key} is missing")
            return default
        return self._value[key]


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping, whose fields `Section` looks at.

    Raises
    ------
    DocumentError
        If it is no YAML, or no mapping.
    OSError
        If it cannot be read.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DocumentError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise DocumentError(f"{path.name} is {type(content).__name__}; a mapping is needed")
    return content
