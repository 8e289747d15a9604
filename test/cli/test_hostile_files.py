"""Ten thousand damaged problem files through the command: a plan, or one sentence and exit code 2 or 3."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from satllm_ros.cli import main as cli

PROBLEM = {
    "batches": 8,
    "model": {"layer_flops": [3, 1, 4, 1], "layer_memory_bytes": [1, 1, 1, 1], "cut_bytes": [5, 1, 2, 3, 1]},
    "satellites": [
        {"name": "sat1", "flops_per_s": 2.0, "memory_bytes": 2, "may_relay": True},
        {"name": "sat2", "layer_s": [1, 1, 1, 2], "memory_bytes": 3, "memory_overhead_bytes": 1},
        {"name": "sat3", "flops_per_s": 1.5, "memory_bytes": 3},
    ],
    "links": [{"rate_bps": 8}, {"rate_bps": 4, "propagation_s": 0.1}, {"rate_bps": 2}, {"rate_bps": 9}],
}
RATIOS = {"ratios": [0.25, 1.0], "accuracy": [[0.0, 0.5], [1.0, 1.0]], "accuracy_min": 0.6}
SETTINGS = {
    "settings": [
        {"name": "raw", "ratio": 1, "accuracy": 1},
        {"name": "int8", "ratio": 0.2, "accuracy": 0.9, "encode_s_per_byte": 0.1, "decode_s_per_byte": 0.1},
    ],
    "loss_budget": 0.1,
}
HOSTILE: list[object] = [
    None, True, False, -1, 0, 1, 2**70, 10**400, -0.5, 1e-300, 1e300, 0.5, float("nan"), float("inf"), 1e-9, 1e24,
    "", "sat1", "\ud800", "\x1b[2J", "x" * 1000, [], [[]], [1], [1, 2, 3], {}, {"name": 1}, [None] * 4, [1e24] * 4,
]  # fmt: skip


def places(value: object, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*here, key))


def mutated(rng: np.random.Generator, document: dict[str, Any]) -> dict[str, Any]:
    """A few values replaced, removed, doubled or renamed; or numbers made much larger or smaller."""
    document = copy.deepcopy(document)
    only_scale = rng.random() < 0.5
    for _ in range(rng.integers(1, 5)):
        found = [place for place in places(document) if place]
        if not found:
            break
        *path, key = found[rng.integers(len(found))]
        parent = document
        for step in path:
            parent = parent[step]
        kind = rng.integers(4)
        if only_scale:
            if type(parent[key]) in (int, float):
                parent[key] *= type(parent[key])(rng.choice([0, 3, 1000]))
        elif kind == 0:
            del parent[key]
        elif kind == 1 and isinstance(parent, list):
            parent.extend(parent)
        elif kind == 2 and isinstance(parent, dict):
            parent[str(key) + "_"] = parent.pop(key)
        else:
            parent[key] = copy.deepcopy(HOSTILE[rng.integers(len(HOSTILE))])
    return document


def damaged(rng: np.random.Generator, text: bytes) -> bytes:
    """Bytes changed, cut off, or given twice."""
    data = bytearray(text)
    kind = rng.integers(3)
    if kind == 0:
        for at in rng.integers(0, len(data), rng.integers(1, 6)):
            data[at] = rng.integers(256)
    elif kind == 1:
        del data[rng.integers(len(data)) :]
    else:
        at = rng.integers(len(data))
        data[at:at] = data[at : at + rng.integers(1, 40)]
    return bytes(data)


def _no_number(name: str) -> None:
    raise AssertionError(f"{name} in an answer")


@pytest.mark.parametrize("part", range(4))
def test_damaged_files_end_in_a_sentence(
    part: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Made once: it takes longer than most of the plans.
    parser = cli.parser()
    monkeypatch.setattr(cli, "parser", lambda: parser)
    rng = np.random.default_rng(part)
    path = tmp_path / "problem.json"
    codes = {0: 0, 2: 0, 3: 0}
    for number in range(2500):
        document = PROBLEM | {"compression": SETTINGS if rng.random() < 0.5 else RATIOS}
        if number % 3:
            content = json.dumps(mutated(rng, document)).encode()
        else:
            content = damaged(rng, json.dumps(document).encode())
        path.write_bytes(content)
        arguments = ["plan", "--problem", str(path), "--objective", "exact" if rng.random() < 0.5 else "paper"]
        as_json = rng.random() < 0.9
        code = cli.main(arguments + ["--json"] * as_json)
        shown = capsys.readouterr()
        codes[code] += 1
        said = shown.err if code == 2 else shown.out
        assert said and "Traceback" not in said, content
        if code == 2:
            assert said.startswith("satllm: error: ") and said.count("\n") == 1 and len(said) < 500, content
        elif as_json:
            answer = json.loads(said, parse_constant=_no_number)
            assert answer["feasible"] == (code == 0) and (code == 0 or answer["reasons"]), content
        elif code == 3:
            assert said.startswith("no plan: "), content
    assert codes[2] > 1000 and codes[3] > 20, codes
