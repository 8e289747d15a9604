"""Reads a document field by field and complains in one sentence that names the field."""

from __future__ import annotations

import difflib
import re
from reprlib import Repr
from typing import Any

_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+\Z", re.ASCII)
# Aliases make a few lines of YAML print as gigabytes.
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


class DocumentError(ValueError):
    """A file that does not say what it must; the message names the field."""


def shown(value: Any) -> str:
    """A short printable form of any value, however hostile."""
    try:
        return _SHORT.repr(value)
    except ValueError:
        # Python refuses to print integers of thousands of digits.
        return f"a huge {type(value).__name__}"


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
            raise DocumentError(f"{self.where}: {key} is {shown(value)}; a list of at least one is needed")
        return [Section(f"{self.where}: {key}[{i}]", item) for i, item in enumerate(value)]

    def text(self, key: str, default: str | None = None) -> str:
        value = self._get(key, default)
        if not isinstance(value, str):
            raise DocumentError(f"{self.where}: {key} is {shown(value)}; a string is needed (in quotes)")
        return value

    def texts(self, key: str) -> list[str]:
        value = self._get(key)
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            raise DocumentError(f"{self.where}: {key} is {shown(value)}; a list of at least one string is needed")
        return value

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self._get(key)
        if value not in allowed:
            raise DocumentError(f"{self.where}: {key} is {shown(value)}; allowed are {', '.join(allowed)}")
        return str(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise DocumentError(f"{self.where}: {key} is {shown(value)}; true or false is needed")
        return value

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        return float(self._within(key, low, high, default))

    def above(self, key: str, high: float) -> float:
        """A number above 0."""
        value = self.number(key, 0.0, high)
        if value == 0.0:
            raise DocumentError(f"{self.where}: {key} is 0; a number above 0 is needed")
        return value

    def numbers(self, key: str, low: float, high: float) -> tuple[float, ...]:
        value = self._get(key)
        if not isinstance(value, list) or not value:
            raise DocumentError(f"{self.where}: {key} is {shown(value)}; a list of at least one number is needed")
        entries = Section(self.where, {f"{key}[{i}]": item for i, item in enumerate(value)})
        return tuple(entries.number(name, low, high) for name in entries.keys)

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self._within(key, low, high, default)
        if value != int(value):
            raise DocumentError(f"{self.where}: {key} is {shown(value)}; a whole number is needed")
        return int(value)

    def value(self, key: str) -> Any:
        """What stands there, unchecked; None if nothing does."""
        self._read.add(key)
        return self._value.get(key)

    def fields(self, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
        """Whatever stands there, unchecked, under the names required, all of which must be there, and no others."""
        found = {key: self._get(key) for key in required}
        self._read.update(optional)
        self.refuse_unknown()
        return found | {key: self._value[key] for key in optional if key in self._value}

    def refuse_unknown(self) -> None:
        unknown = sorted(set(self._value) - self._read, key=shown)
        if unknown:
            word = unknown[0] if isinstance(unknown[0], str) else ""
            near = difflib.get_close_matches(word, self._read, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise DocumentError(
                f"{self.where}: unknown field {shown(unknown[0])}; {hint}known are {', '.join(sorted(self._read))}"
            )

    def _within(self, key: str, low: float, high: float, default: float | None) -> int | float:
        value: Any = self._get(key, default)
        # PyYAML takes 1e9 for a text, as YAML 1.1 says; to everyone else it is a number.
        if isinstance(value, str) and _EXPONENT.match(value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise DocumentError(f"{self.where}: {key} is {shown(value)}; a number from {low:g} to {high:g} is needed")
        return value

    def _get(self, key: str, default: Any = None) -> Any:
        self._read.add(key)
        if key not in self._value:
            if default is None:
                raise DocumentError(f"{self.where}: {key} is missing")
            return default
        return self._value[key]
