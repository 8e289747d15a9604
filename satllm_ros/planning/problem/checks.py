"""Checks of single values of a planning problem; a refusal names the field, its value and what is allowed."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from satllm_ros.documents.section import shown

# Largest number taken anywhere: products of a few of them stay far below the largest double.
LARGEST = 1e24
SMALLEST_POSITIVE = 1e-9


class ProblemError(ValueError):
    """A planning problem that is malformed; the message names the field, what was found and what is allowed."""


def refuse(field: str, value: Any, needed: str) -> ProblemError:
    """The error for a value that is there but wrong."""
    return ProblemError(f"{field} is {shown(value)}; {needed} is needed")


def number(field: str, value: Any, *, low: float = 0.0, high: float = LARGEST, positive: bool = False) -> float:
    """A finite number in [low, high], or in [1e-9, high] if it must be positive."""
    bottom = SMALLEST_POSITIVE if positive else low
    needed = f"a number from {bottom:g} to {high:g}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise refuse(field, value, needed)
    try:
        result = float(value)
    except OverflowError:
        raise refuse(field, value, needed) from None
    if not (math.isfinite(result) and bottom <= result <= high):
        raise refuse(field, value, needed)
    return result


def integer(field: str, value: Any, *, low: int, high: int) -> int:
    """An integer in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) <= high:
        raise refuse(field, value, f"a whole number from {low} to {high}")
    return int(value)


def boolean(field: str, value: Any) -> bool:
    """True or false, and no number that could stand for them."""
    if not isinstance(value, bool):
        raise refuse(field, value, "true or false")
    return value


def name(field: str, value: Any) -> str:
    """A printable name of 1 to 64 characters."""
    if not isinstance(value, str) or not 1 <= len(value) <= 64 or not value.isprintable():
        raise refuse(field, value, "a printable name of 1 to 64 characters")
    return value


def items(field: str, value: Any, *, low: int, high: int, what: str) -> Sequence[Any]:
    """A list (or tuple, or one-dimensional array) of low to high entries."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(value, list | tuple):
        raise refuse(field, value, f"a list of {what}")
    if not low <= len(value) <= high:
        count = str(low) if low == high else f"{low} to {high}"
        raise ProblemError(f"{field} has {len(value)} entries; {count} are needed ({what})")
    return value


def each_or_all(
    field: str, value: Any, *, low: float = 0.0, high: float, positive: bool = False, most: int
) -> float | tuple[float, ...]:
    """A number that holds at all inner cuts, or a list of one for each, `most` at most; bounds as in `number`."""
    if isinstance(value, Real):
        return number(field, value, low=low, high=high, positive=positive)
    if not (isinstance(value, list | tuple) or hasattr(value, "tolist")):
        bottom = SMALLEST_POSITIVE if positive else low
        raise refuse(field, value, f"a number from {bottom:g} to {high:g}, or a list of one per inner cut")
    entries = items(field, value, low=0, high=most, what="one per inner cut")
    return tuple(number(f"{field}[{i}]", v, low=low, high=high, positive=positive) for i, v in enumerate(entries))


def numbers(field: str, value: Any, *, low: int, high: int, what: str) -> tuple[float, ...]:
    """Like `items`, every entry a number >= 0."""
    return tuple(number(f"{field}[{i}]", v) for i, v in enumerate(items(field, value, low=low, high=high, what=what)))
