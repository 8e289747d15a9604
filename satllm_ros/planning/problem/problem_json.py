"""The planning problem as a JSON file: reading it, trusting nothing in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from satllm_ros.planning.problem.checks import ProblemError, refuse, shown
from satllm_ros.planning.problem.problem import Compression, Link, Model, Problem, Satellite, Setting

Made = TypeVar("Made")


def load_problem(path: Path) -> Problem:
    """Read a problem file.

    Raises
    ------
    OSError
        If the file cannot be read.
    ProblemError
        If it is not JSON, or not a problem.
    """
    try:
        document = json.loads(path.read_bytes())
    except RecursionError:
        raise ProblemError("", f"{path} is nested too deeply to be a planning problem") from None
    except ValueError as error:
        raise ProblemError("", f"{path} is not JSON: {error}") from None
    return from_json(document)


def from_json(document: Any) -> Problem:
    """Build a `Problem` from a parsed JSON document.

    Raises
    ------
    ProblemError
        Naming the field, the value found and what is allowed.
    """
    fields = _fields("the problem", document, ("batches", "model", "satellites", "links", "compression"))
    model = _make("model", Model, fields["model"], ("layer_memory_bytes", "cut_bytes"), ("layer_flops",))
    satellites = _make_each(
        "satellites",
        Satellite,
        fields["satellites"],
        ("name", "memory_bytes"),
        ("flops_per_s", "layer_s", "memory_overhead_bytes", "may_relay"),
    )
    links = _make_each("links", Link, fields["links"], ("rate_bps",), ("propagation_s",))
    return Problem(fields["batches"], model, satellites, links, _compression(fields["compression"]))


def _compression(value: Any) -> Compression:
    # Either may stand alone; Compression says so if both are missing.
    limits = ("accuracy_min", "loss_budget")
    if isinstance(value, dict) and "settings" in value:
        fields = _fields("compression", value, ("settings",), limits)
        fields["settings"] = _make_each(
            "compression.settings",
            Setting,
            fields["settings"],
            ("name", "ratio", "accuracy"),
            ("encode_s_per_byte", "decode_s_per_byte", "loss"),
        )
        return _under("compression", Compression, **fields)
    return _make("compression", Compression.from_ratios, value, ("ratios", "accuracy"), limits)


def _make_each(
    field: str, make: Callable[..., Made], value: Any, required: tuple[str, ...], optional: tuple[str, ...]
) -> list[Made]:
    if not isinstance(value, list):
        raise refuse(field, value, "a list of objects")
    return [_make(f"{field}[{i}]", make, entry, required, optional) for i, entry in enumerate(value)]


def _make(
    field: str,
    make: Callable[..., Made],
    value: Any,
    required: tuple[str, ...],
    optional: tuple[str, ...] = (),
) -> Made:
    return _under(field, make, **_fields(field, value, required, optional))


def _under(field: str, make: Callable[..., Made], **fields: Any) -> Made:
    try:
        return make(**fields)
    except ProblemError as error:
        raise error.under(field) from None


def _fields(field: str, value: Any, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    known = required + optional
    if not isinstance(value, dict):
        raise refuse(field, value, f"an object with {', '.join(known)}")
    for key in required:
        if key not in value:
            raise ProblemError(f"{field}.{key}" if field != "the problem" else key, "is missing")
    for key in value:
        if key not in known:
            raise ProblemError(field, f"has an unknown field {shown(key)}; allowed: {', '.join(known)}")
    return dict(value)
