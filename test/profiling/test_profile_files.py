"""Profiles as files: what is written is read, and damage is named."""

import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.documents.section import DocumentError
from satllm_ros.profiling.files import (
    BlockTimes,
    CodecCost,
    MemoryLine,
    MemoryPoint,
    Profile,
    load_profile,
    profile_path,
    save_profile,
)
from satllm_ros.profiling.inputs import age_sentence, calibration_time, measured_settings
from satllm_ros.profiling.isotonic import rising_fit
from satllm_ros.profiling.measure_memory import fit_line

PROFILE = Profile(
    model_id="0123456789abcdef",
    device="Some CPU @ 2 GHz, 2 cores",
    measured_at="2026-01-02T03:04:05+00:00",
    blocks=(BlockTimes(1, 1, (0.01, 0.02)), BlockTimes(16, 1, (0.1, 0.2)), BlockTimes(16, 2, (0.06, 0.12))),
    memory=(MemoryPoint(1, 1_000_000), MemoryPoint(2, 1_500_000)),
    memory_line=MemoryLine(500_000.0, 500_000.0, 0.0),
    codecs={"int8": CodecCost(3e-9, 1e-9, 0.2)},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = profile_path(tmp_path / "profiles", PROFILE.model_id, PROFILE.device)
    save_profile(path, PROFILE)
    return path


def test_what_is_written_is_read(path: Path) -> None:
    assert path.name == "0123456789abcdef-some-cpu-2-ghz-2-cores.profile.yaml"
    assert load_profile(path, model_id=PROFILE.model_id, device=PROFILE.device) == PROFILE
    assert "layer_s: [0.01, 0.02]" in path.read_text()


def test_of_another_model_or_device(path: Path) -> None:
    with pytest.raises(DocumentError, match="is of model '0123456789abcdef', needed is 'fedcba9876543210'"):
        load_profile(path, model_id="fedcba9876543210")
    with pytest.raises(DocumentError, match="is of device 'Some CPU @ 2 GHz, 2 cores', needed is 'Orin'"):
        load_profile(path, device="Orin")


ONE = {"batch_tiles": 1, "threads": 1, "layer_s": [1]}
COST = {"encode_s_per_byte": 1e-9, "decode_s_per_byte": 1e-9, "ratio": 0.2}
LINE = {"overhead_bytes": 1.0, "per_block_bytes": 1.0, "worst_error_bytes": 0.0}


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("blocks", [], r"blocks is \[\]; a list of at least one"),
        ("blocks", 3, "blocks is 3; a list"),
        ("blocks", [ONE | {"batch_tiles": 0}], r"blocks\[0\]: batch_tiles is 0; a number from 1"),
        ("blocks", [ONE | {"batch_tiles": 4.7}], r"blocks\[0\]: batch_tiles is 4.7; a whole number"),
        ("blocks", [ONE | {"batch_tiles": "4"}], r"blocks\[0\]: batch_tiles is '4'; a number"),
        ("blocks", [ONE | {"threads": True}], r"blocks\[0\]: threads is True; a number"),
        ("blocks", [ONE | {"layer_s": [1, -1]}], r"blocks\[0\]: layer_s\[1\] is -1; a number from 1e-09 to 1e\+06"),
        ("blocks", [ONE | {"layer_s": [math.nan]}], r"blocks\[0\]: layer_s\[0\] is nan; a number"),
        ("blocks", [{"batch_tiles": 1, "threads": 1}], r"blocks\[0\]: layer_s is missing"),
        ("blocks", [ONE | {"layers": 3}], r"blocks\[0\]: unknown field 'layers'"),
        ("blocks", [ONE, ONE | {"layer_s": [1, 1]}], "blocks are of different numbers of layers"),
        ("measured_at", "yesterday", "measured_at is 'yesterday'; a time with its zone"),
        ("measured_at", "2026-01-02T03:04:05", "measured_at is '2026-01-02T03:04:05'; a time with its zone"),
        ("measured_at", 2026, "measured_at is 2026; a string"),
        ("model_id", 123, r"model_id is 123; a string is needed \(in quotes\)"),
        ("memory", [{"blocks": 1}], r"memory\[0\]: bytes is missing"),
        ("memory", [{"blocks": -1, "bytes": 1}], r"memory\[0\]: blocks is -1"),
        ("memory_line", {"slope": 1}, "memory_line: overhead_bytes is missing"),
        ("memory_line", LINE | {"per_block_bytes": math.nan}, "memory_line: per_block_bytes is nan"),
        ("codecs", {"int8": COST | {"ratio": "a lot"}}, "codecs: int8: ratio is 'a lot'; a number"),
        ("codecs", {"int8": COST | {"decode_s_per_byte": math.inf}}, "codecs: int8: decode_s_per_byte is inf"),
        ("codecs", {"int8": COST | {"speed": 1}}, "codecs: int8: unknown field 'speed'"),
        ("codecs", ["int8"], "codecs is list; a mapping"),
        ("codec", {"int8": COST}, "unknown field 'codec'; did you mean codecs?"),
    ],
)
def test_damage_is_named(path: Path, field: str, value: object, sentence: str) -> None:
    document = yaml.safe_load(path.read_text()) | {field: value}
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(DocumentError, match=rf"\.profile\.yaml: {sentence}"):
        load_profile(path)


def test_what_was_not_measured_stands_there_as_nothing(path: Path) -> None:
    bare = replace(PROFILE, memory=(), memory_line=None, codecs={})
    save_profile(path, bare)
    assert load_profile(path) == bare


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "is not YAML"),
        ("[]", "is list; a mapping"),
        ("format: satllm-profile\nversion: 2", "is no satllm-profile of version 1"),
        ("\x00", "is not YAML"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_files_that_are_no_profile(path: Path, text: str, sentence: str) -> None:
    path.write_text(text)
    with pytest.raises(DocumentError, match=rf"\.profile\.yaml (is )?{sentence}"):
        load_profile(path)


def test_layer_times_come_from_the_nearest_measurement() -> None:
    assert PROFILE.layer_s(16, 2) == (0.06, 0.12)
    assert PROFILE.layer_s(32, 1) == (0.2, 0.4)
    assert PROFILE.layer_s(2, 1) == (0.02, 0.04)


def test_age() -> None:
    later = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc) + timedelta(days=3, hours=1)
    assert PROFILE.age_s(later) == 3 * 86400 + 3600
    assert age_sentence("profile", PROFILE.age_s(later)) == "profile is 3 days old"
    assert [age_sentence("x", s) for s in (-3, 59, 119, 120, 7200)] == [
        "x is 0 seconds old", "x is 59 seconds old", "x is 119 seconds old", "x is 2 minutes old", "x is 2 hours old",
    ]  # fmt: skip


def test_settings_of_a_calibration_are_of_its_model_and_take_no_time(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    alike = {"int8": {"alike": {"accuracy": 0.9, "ratio": 0.2}}, "raw": {"alike": {"accuracy": 0.95, "ratio": 1.001}}}
    head = {"format": "satllm-calibration", "version": 1, "model_id": "m", "measured_at": "2026-01-02T03:04:05+00:00"}
    path.write_text(yaml.safe_dump(head | {"settings": alike}))
    int8, raw = measured_settings(path, model_id="m")
    assert (int8.name, int8.ratio, int8.accuracy, int8.encode_s_per_byte) == ("int8", 0.2, 0.9, 0.0)
    assert raw.ratio == 1.0
    assert calibration_time(path) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    with pytest.raises(DocumentError, match="is of model 'm', needed is 'n'"):
        measured_settings(path, model_id="n")
    path.write_text(yaml.safe_dump(head | {"settings": {"int8": {"alike": {"accuracy": 2, "ratio": 0.2}}}}))
    with pytest.raises(
        DocumentError, match=r"calibration\.yaml: settings: int8: alike: accuracy is 2; a number from 0 to 1"
    ):
        measured_settings(path)


def test_the_memory_line() -> None:
    line = fit_line([MemoryPoint(n, 100 + 10 * n + (5 if n == 2 else 0)) for n in (1, 2, 3)])
    assert line.per_block_bytes == pytest.approx(10) and line.overhead_bytes == pytest.approx(100 + 5 / 3)
    assert line.worst_error_bytes == pytest.approx(10 / 3)
    assert fit_line([MemoryPoint(4, 40)]).per_block_bytes == 10


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0, 1)), min_size=1, max_size=12))
def test_the_monotone_fit(points: list[tuple[float, float]]) -> None:
    ratios, accuracies = zip(*points, strict=True)
    fitted = rising_fit([r / 20 for r in ratios], accuracies)
    assert (np.diff(fitted[:, 0]) > 0).all() and (np.diff(fitted[:, 1]) >= -1e-12).all()
    # The least-squares fit leaves residuals that sum to nothing, and are orthogonal to the fit.
    at = np.searchsorted(fitted[:, 0], np.array(ratios) / 20)
    residual = np.array(accuracies) - fitted[at, 1]
    assert residual.sum() == pytest.approx(0, abs=1e-9)
    assert (residual * fitted[at, 1]).sum() == pytest.approx(0, abs=1e-9)


def test_the_monotone_fit_by_hand() -> None:
    fitted = rising_fit([1.0, 0.1, 0.5, 0.2], [0.97, 0.9, 0.94, 0.96])
    assert fitted.tolist() == [[0.1, 0.9], [0.2, 0.95], [0.5, 0.95], [1.0, 0.97]]
    with pytest.raises(ValueError, match="2 ratios and 1 accuracies"):
        rising_fit([1, 2], [1])
