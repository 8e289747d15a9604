"""The planning problem as a JSON file: reading it, trusting nothing in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from satllm_ros.documents.section import DocumentError, Section
from satllm_ros.planning.problem.checks import ProblemError
from satllm_ros.planning.problem.problem import Compression, Link, Model, Problem, Satellite, Setting

Made = TypeVar("Made")
_SATELLITE = ("flops_per_s", "layer_s", "memory_overhead_bytes", "may_relay")
_SETTING = ("encode_s_per_byte", "decode_s_per_byte", "loss")
# Either may stand alone; Compression says so if both are missing.
_LIMITS = ("accuracy_min", "loss_budget")


def load_problem(path: Path) -> Problem:
    """Read a problem file.

    Raises
    ------
    OSError
        If the file cannot be read.
    DocumentError
        If it is not JSON, or not a problem.
    """
    try:
        document = json.loads(path.read_bytes())
    except RecursionError:
        raise DocumentError(f"{path} is nested too deeply") from None
    except ValueError as error:
        raise DocumentError(f"{path} is not JSON: {error}") from None
    return from_json(document, str(path))


def from_json(document: Any, name: str = "the problem") -> Problem:
    """Build a `Problem` from a parsed JSON document; `name` is what complaints call it.

    Raises
    ------
    DocumentError
        Naming the field, the value found and what is allowed.
    """
    top = Section(name, document)
    batches = top.fields(("batches", "model", "satellites", "links", "compression"))["batches"]
    model = _make(Model, top.section("model"), ("layer_memory_bytes", "cut_bytes"), ("layer_flops",))
    satellites = [_make(Satellite, s, ("name", "memory_bytes"), _SATELLITE) for s in top.sections("satellites")]
    links = [_make(Link, s, ("rate_bps",), ("propagation_s",)) for s in top.sections("links")]
    return _under(top, Problem, batches, model, satellites, links, _compression(top.section("compression")))


def _compression(section: Section) -> Compression:
    if "settings" not in section.keys:
        return _make(Compression.from_ratios, section, ("ratios", "accuracy"), _LIMITS)
    fields = section.fields(("settings",), _LIMITS)
    offered = section.sections("settings")
    fields["settings"] = [_make(Setting, s, ("name", "ratio", "accuracy"), _SETTING) for s in offered]
    return _under(section, Compression, **fields)


def _make(
    make: Callable[..., Made], section: Section, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Made:
    return _under(section, make, **section.fields(required, optional))


def _under(section: Section, make: Callable[..., Made], *values: Any, **fields: Any) -> Made:
    """What checks itself when it is made; its complaint names the section."""
    try:
        return make(*values, **fields)
    except ProblemError as error:
        raise DocumentError(f"{section.where}: {error}") from None
