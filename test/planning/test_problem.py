"""Malformed and hostile problems: each ends in a sentence that names the field, or in an outcome."""

import copy
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satllm_ros.documents.section import DocumentError
from satllm_ros.planning.problem.checks import ProblemError
from satllm_ros.planning.problem.problem import Compression, Link, Model, Problem, Satellite, Setting
from satllm_ros.planning.problem.problem_json import from_json, load_problem
from satllm_ros.planning.solver.solve import solve

RATIOS = {
    "batches": 8,
    "model": {"layer_flops": [3, 1, 4], "layer_memory_bytes": [1, 1, 1], "cut_bytes": [5, 1, 2, 3]},
    "satellites": [
        {"name": "sat1", "flops_per_s": 2.0, "memory_bytes": 2, "may_relay": False},
        {"name": "sat2", "layer_s": [1, 1, 1], "memory_bytes": 3, "memory_overhead_bytes": 1},
    ],
    "links": [{"rate_bps": 8}, {"rate_bps": 4, "propagation_s": 0.1}, {"rate_bps": 2}],
    "compression": {"ratios": [0.25, 1.0], "accuracy": [[0.0, 0.5], [1.0, 1.0]], "accuracy_min": 0.6},
}
SETTINGS = RATIOS | {
    "compression": {
        "settings": [
            {"name": "raw", "ratio": 1, "accuracy": 1},
            {
                "name": "int8",
                "ratio": 0.2,
                "accuracy": 0.9,
                "encode_s_per_byte": 0.1,
                "decode_s_per_byte": 0.1,
            },
        ],
        "accuracy_min": 0.6,
    }
}
HOSTILE: list[object] = [
    None, True, False, -1, 0, 1, 2**70, 10**4000, -0.5, 1e-300, 1e300, 0.5, math.nan, math.inf, -math.inf,
    "", "sat1", "\ud800", "\x1b[2J", "x" * 10_000, [], [[]], [1], [1, 2, 3], {}, {"name": 1}, [None] * 4,
]  # fmt: skip


def paths(value: object, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document."""
    yield here
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from paths(child, (*here, key))


def replaced(document: Any, path: tuple[Any, ...], value: object) -> Any:
    if not path:
        return value
    document = copy.deepcopy(document)
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return document


@pytest.mark.parametrize("document", [RATIOS, SETTINGS])
def test_the_unchanged_documents_have_plans(document: dict[str, Any]) -> None:
    assert solve(from_json(document)).feasible


@settings(max_examples=600, deadline=None)
@given(st.sampled_from([RATIOS, SETTINGS]), st.data())
def test_hostile_values_end_in_a_sentence_or_an_outcome(document: dict[str, Any], data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(paths(document))))
        value = data.draw(st.sampled_from(HOSTILE) | st.floats() | st.integers() | st.text(max_size=3))
        document = replaced(document, path, value)
    try:
        outcome = solve(from_json(document))
    except (DocumentError, ProblemError) as error:
        assert 0 < len(str(error)) < 400 and str(error).isprintable()
    else:
        assert math.isfinite(outcome.delay_s) if outcome.feasible else outcome.reasons
        json.dumps(outcome.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ((), 3, "the problem is int; a mapping is needed"),
        (("batches",), 0, "batches is 0; a whole number from 1 to"),
        (("batches",), True, "batches is True; a whole number"),
        (("batches",), 2.5, "batches is 2.5; a whole number"),
        (("model", "layer_flops", 1), math.nan, "model: layer_flops[1] is nan; a number from 0 to"),
        (("model", "layer_flops"), [1, 1], "model: layer_flops has 2 entries; 3 are needed (one per layer)"),
        (
            ("model", "layer_flops"),
            None,
            "model: layer_flops is missing, but satellites[0] states its speed in",
        ),
        (("model", "cut_bytes"), [1, 1, 1], "model: cut_bytes has 3 entries; 4 are needed (layers + 1)"),
        (
            ("model", "layer_memory_bytes", 0),
            -1,
            "model: layer_memory_bytes[0] is -1; a number from 0",
        ),
        (("model", "depth"), 3, "model: unknown field 'depth'; known are cut_bytes, layer_flops"),
        (("satellites",), [], "satellites is []; a list of at least one is needed"),
        (
            ("satellites", 1, "layer_s"),
            [1, 1],
            "satellites[1]: layer_s has 2 entries; 3 are needed (one per layer)",
        ),
        (("satellites", 0, "layer_s"), [1, 1, 1], "satellites[0]: flops_per_s or layer_s must be given, one"),
        (("satellites", 0, "flops_per_s"), 0, "satellites[0]: flops_per_s is 0; a number from 1e-09"),
        (("satellites", 0, "memory_bytes"), "2", "satellites[0]: memory_bytes is '2'; a number"),
        (("satellites", 0, "memory_bytes"), 10**5000, "satellites[0]: memory_bytes is a huge int; a number"),
        (("satellites", 0, "may_relay"), 1, "satellites[0]: may_relay is 1; true or false"),
        (("satellites", 1, "name"), "sat1", "satellites[1]: name is 'sat1'; a name no other"),
        (("satellites", 1, "name"), "\ud800", "satellites[1]: name is '\\ud800'; a printable name"),
        (("links",), [{"rate_bps": 1}], "links has 1 entries; 3 are needed (satellites + 1)"),
        (("links", 2, "rate_bps"), -8, "links[2]: rate_bps is -8; a number from 1e-09"),
        (("links", 2), {}, "links[2]: rate_bps is missing"),
        (("compression", "ratios", 0), 0, "compression: ratios[0] is 0; a number from 1e-09 to 1"),
        (
            ("compression", "ratios", 0),
            1.5,
            "compression: ratios[0] is 1.5; a number from 1e-09 to 1",
        ),
        (
            ("compression", "accuracy", 0),
            [0.5, 0.5],
            "compression: ratios[0] is 0.25; a ratio that the",
        ),
        (
            ("compression", "accuracy", 1),
            [0, 1],
            "compression: accuracy[1][0] is 0.0; a ratio above the",
        ),
        (("compression", "accuracy", 1), [1], "compression: accuracy[1] has 1 entries; 2 are needed"),
        (
            ("compression", "accuracy_min"),
            97,
            "compression: accuracy_min is 97; a number from 0 to 1",
        ),
        (("compression",), {"settings": [{}], "accuracy_min": 0}, "compression: settings[0]: name is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_malformed_fields_are_named(path: tuple[Any, ...], value: object, sentence: str) -> None:
    with pytest.raises(DocumentError) as caught:
        from_json(replaced(RATIOS, path, value))
    assert str(caught.value).removeprefix("the problem: ").startswith(sentence)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe\xfd", "is not JSON"),
        (b"9" * 5000, "is not JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"batches": NaN}', "model is missing"),
    ],
)
def test_files_that_are_no_problem(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "problem.json"
    path.write_bytes(content)
    with pytest.raises(DocumentError, match=rf"problem\.json.* {sentence}"):
        load_problem(path)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("ratio", [0.5], "compression: settings[0]: ratio has 1 entries; 2 are needed (layers - 1, one per inner cut)"),
        ("ratio", [0.5, 0], "compression: settings[0]: ratio[1] is 0; a number from 1e-09 to 1"),
        (
            "ratio",
            [0.5] * 2048,
            "compression: settings[0]: ratio has 2048 entries; 0 to 2047 are needed (one per inner cut",
        ),
        ("ratio", {"1": 0.5}, "compression: settings[0]: ratio is {'1': 0.5}; a number from 1e-09 to 1, or a"),
        (
            "loss",
            [0, 0, 0],
            "compression: settings[0]: loss has 3 entries; 2 are needed (layers - 1, one per inner cut)",
        ),
        ("loss", [0, -1.1], "compression: settings[0]: loss[1] is -1.1; a number from -1 to 1"),
        ("accuracy", [0.9, 0.9], "compression: settings[0]: accuracy is [0.9, 0.9]; a number from 0 to 1"),
    ],
)
def test_figures_of_single_cuts_are_one_for_each(field: str, value: Any, sentence: str) -> None:
    with pytest.raises(DocumentError) as caught:
        from_json(replaced(SETTINGS, ("compression", "settings", 0, field), value))
    assert str(caught.value).removeprefix("the problem: ").startswith(sentence)


def test_one_ratio_means_the_same_at_each_cut() -> None:
    one = from_json(SETTINGS)
    each = from_json(replaced(SETTINGS, ("compression", "settings", 1, "ratio"), [0.2, 0.2]))
    assert solve(one).delay_s == solve(each).delay_s and solve(one).ratios == solve(each).ratios


def test_costly_settings_are_limited() -> None:
    offered = [Setting(f"s{i}", 0.5, 1.0, encode_s_per_byte=1e-9) for i in range(65)]
    with pytest.raises(ProblemError, match="settings has 65 entries that cost time; at most 64 may"):
        Compression(offered, 0.5)


def test_a_problem_built_in_python_from_arrays_equals_the_one_from_json() -> None:
    built = Problem(
        batches=np.int64(8),
        model=Model(np.ones(3), cut_bytes=np.array([5, 1, 2, 3]), layer_flops=np.array([3.0, 1.0, 4.0])),
        satellites=[
            Satellite("sat1", np.float32(2), flops_per_s=2),
            Satellite("sat2", 3, layer_s=np.ones(3), memory_overhead_bytes=1),
        ],
        links=[Link(8), Link(4, 0.1), Link(2)],
        compression=Compression.from_ratios([0.25, 1.0], [[0.0, 0.5], [1.0, 1.0]], 0.6),
    )
    assert built == from_json(RATIOS)
