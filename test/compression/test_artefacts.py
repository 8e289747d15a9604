import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_models import ArtefactsMaker
from safetensors.numpy import load_file, save_file

from satllm_ros.compression.tables.artefacts import Artefacts, load_artefacts, save_artefacts
from satllm_ros.compression.tables.measurement import CutMeasurement, Measurement
from satllm_ros.compression.tables.scales import CutScales
from satllm_ros.compression.wire.errors import ArtefactError
from satllm_ros.compression.wire.setting import CodecSetting


@pytest.fixture
def saved(tmp_path: Path, artefacts: Artefacts) -> Path:
    path = tmp_path / "codec.safetensors"
    save_artefacts(path, artefacts)
    return path


def rewrite(path: Path, change: Callable[..., object]) -> None:
    """Change the tensors and metadata of a file in place."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors, metadata)
    save_file(tensors, path, metadata)


def test_artefacts_survive_their_file(saved: Path, artefacts: Artefacts) -> None:
    loaded = load_artefacts(saved, model_id=artefacts.model_id)
    assert loaded.artefact_id == artefacts.artefact_id
    assert (loaded.model_id, loaded.prefix_tokens, loaded.width) == (artefacts.model_id, 1, 8)
    assert list(loaded.scales) == [2, 3]
    for cut, scales in artefacts.scales.items():
        for name, array in scales.arrays().items():
            np.testing.assert_array_equal(loaded.scales[cut].arrays()[name], array)


def test_the_id_depends_on_everything_but_the_order_of_cuts(
    artefacts: Artefacts, artefacts_maker: ArtefactsMaker
) -> None:
    swapped = Artefacts(artefacts.model_id, 1, 8, {cut: artefacts.scales[cut] for cut in (3, 2)})
    assert swapped.artefact_id == artefacts.artefact_id
    fewer = Artefacts(artefacts.model_id, 1, 8, {2: artefacts.scales[2]})
    renamed = Artefacts(artefacts.model_id, 1, 8, {2: artefacts.scales[2], 4: artefacts.scales[3]})
    other_model = artefacts_maker(model_id="f" * 16)
    other_values = artefacts_maker(seed=1)
    ids = {a.artefact_id for a in (artefacts, fewer, renamed, other_model, other_values)}
    assert len(ids) == 5


def test_tables_survive_their_file_and_are_part_of_the_id(
    tmp_path: Path, full_artefacts: Artefacts, full_artefacts_maker: ArtefactsMaker
) -> None:
    path = tmp_path / "full.safetensors"
    save_artefacts(path, full_artefacts)
    loaded = load_artefacts(path)
    assert loaded.artefact_id == full_artefacts.artefact_id
    for cut, tables in full_artefacts.tables.items():
        for name, array in tables.arrays().items():
            np.testing.assert_array_equal(loaded.tables[cut].arrays()[name], array)
    bare = replace(full_artefacts, tables={}, coefficients=None)
    assert bare.artefact_id != full_artefacts.artefact_id != full_artefacts_maker(seed=1).artefact_id


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t["cut2.mask_order"].__setitem__(0, t["cut2.mask_order"][1]), "each element once"),
        (lambda t: t["cut2.mask_order"].__setitem__(0, 2**32 - 1), "each element once"),
        (lambda t: t["cut2.token_mean"].__setitem__((0, 0), np.nan), "token_mean of cut 2"),
        (lambda t: t["cut2.spread"].__setitem__((0, 0), -1), "spread of cut 2 holds a value below 0"),
        (lambda t: (t["cut2.std"].fill(255), t["cut2.token_transform"].fill(32767)), "sums to"),
        (lambda t: t["cut2.inverse_scale"].__setitem__(0, 1e29), "gives values above"),
        (lambda t: t["coefficients.frequencies"].__setitem__((0, 0, 63), 0), "adds up to"),
        (lambda t: t["coefficients.shifts"].__setitem__((0, 0), 16), "of 0 to 15"),
        (lambda t: t.pop("coefficients.shifts"), "coefficients are incomplete"),
        (lambda t: t.pop("cut2.std"), "cut 2 are incomplete"),
        (lambda t: t.update({"cut2.std": t["cut2.std"][:-1]}), "std of cut 2 has shape"),
    ],
)
def test_unusable_tables_are_refused(
    tmp_path: Path, full_artefacts: Artefacts, change: Callable[..., object], sentence: str
) -> None:
    path = tmp_path / "full.safetensors"
    save_artefacts(path, full_artefacts)
    rewrite(path, lambda tensors, metadata: change(tensors))
    with pytest.raises(ArtefactError, match=sentence):
        load_artefacts(path)


def test_measurements_survive_their_file_and_are_no_part_of_the_id(tmp_path: Path, artefacts: Artefacts) -> None:
    by_cut = {3: CutMeasurement(0.2, -0.01), 2: CutMeasurement(0.1)}
    measured = {"int8": Measurement(0.9, 0.15, 1e-9, 2e-9, by_cut), "raw": Measurement(1.0, 1.0)}
    path = tmp_path / "measured.safetensors"
    save_artefacts(path, replace(artefacts, measurements=measured))
    loaded = load_artefacts(path)
    assert loaded.measurements == measured and list(loaded.measurements["int8"].by_cut) == [2, 3]
    assert loaded.artefact_id == artefacts.artefact_id


@pytest.mark.parametrize(
    ("by_cut", "sentence"),
    [
        ([1], "measurements in codec artefacts are damaged"),
        ({"two": {"ratio": 0.1}}, "measurements in codec artefacts are damaged: invalid literal"),
        ({"2": {"ratio": "much"}}, "measurements in codec artefacts are damaged"),
        ({"2": {"ratio": 0}}, "measurement of a cut with ratio 0 and loss None; allowed are above 0, and -1 to 1"),
        ({"2": {"ratio": 0.1, "loss": 1.5}}, "measurement of a cut with ratio 0.1 and loss 1.5"),
    ],
)
def test_damaged_measurements_of_cuts_are_refused(saved: Path, by_cut: Any, sentence: str) -> None:
    found = json.dumps({"int8": {"accuracy": 0.9, "ratio": 0.2, "by_cut": by_cut}})
    rewrite(saved, lambda tensors, metadata: metadata.update(measurements=found))
    with pytest.raises(ArtefactError, match=sentence):
        load_artefacts(saved)


def test_artefacts_of_before_are_read_without_single_cuts(saved: Path) -> None:
    found = json.dumps({"int8": {"accuracy": 0.9, "ratio": 0.2}})
    rewrite(saved, lambda tensors, metadata: metadata.update(format_version="2", measurements=found))
    assert load_artefacts(saved).measurements == {"int8": Measurement(0.9, 0.2)}


def test_artefacts_without_cuts_serve_raw(tmp_path: Path) -> None:
    path = tmp_path / "raw.safetensors"
    save_artefacts(path, Artefacts("0" * 16, 1, 8, {}))
    assert load_artefacts(path).scales == {}


def test_a_changed_value_is_found(saved: Path) -> None:
    rewrite(saved, lambda tensors, metadata: tensors["cut2.step"].__setitem__(3, 0.25))
    with pytest.raises(ArtefactError, match="their content is"):
        load_artefacts(saved)


def test_artefacts_of_another_model_are_refused_with_both_names(saved: Path) -> None:
    with pytest.raises(ArtefactError, match="of model 0123456789abcdef, needed are those of ffffffffffffffff"):
        load_artefacts(saved, model_id="f" * 16)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t, m: m.pop("format"), "no codec artefacts"),
        (lambda t, m: m.update(format_version="4"), "no codec artefacts of version 1, 2, 3"),
        (lambda t, m: m.pop("model_id"), "lack 'model_id'"),
        (lambda t, m: m.pop("artefact_id"), "lack 'artefact_id'"),
        (lambda t, m: m.update(prefix_tokens="-1"), "'-1' where a count"),
        (lambda t, m: m.update(width="9"), "shape"),
        (lambda t, m: t.pop("cut3.mean"), "cut 3 are incomplete"),
        (lambda t, m: t.update(weight=np.zeros(1, np.float32)), "'weight'"),
    ],
)
def test_files_that_are_not_ours_are_refused(saved: Path, change: Callable[..., object], sentence: str) -> None:
    rewrite(saved, change)
    with pytest.raises(ArtefactError, match=sentence):
        load_artefacts(saved)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(ArtefactError, match="not a safetensors file"):
        load_artefacts(path)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        load_artefacts(tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("step", 0.0, "step of cut 2 holds a value below"),
        ("step", -1.0, "step of cut 2 holds a value below"),
        ("step", np.nan, "step of cut 2"),
        ("prefix_step", np.inf, "prefix_step of cut 2"),
        ("mean", np.nan, "mean of cut 2"),
        ("mean", 1e31, "mean of cut 2"),
        ("mean", 1e7, "2\\^20 steps"),
        ("prefix_mean", -1e7, "2\\^20 steps"),
    ],
)
def test_unusable_scales_are_refused(artefacts: Artefacts, name: str, value: float, sentence: str) -> None:
    arrays = {key: array.copy() for key, array in artefacts.scales[2].arrays().items()}
    arrays[name].flat[0] = value
    with pytest.raises(ArtefactError, match=sentence):
        Artefacts(artefacts.model_id, 1, 8, {2: CutScales(**arrays)})


@pytest.mark.parametrize(
    ("model_id", "prefix_tokens", "width", "cut"),
    [("xyz", 1, 8, 2), ("0" * 16, -1, 8, 2), ("0" * 16, 1, 0, 2), ("0" * 16, 1, 8, 0)],
)
def test_unusable_sizes_are_refused(
    artefacts: Artefacts, model_id: str, prefix_tokens: int, width: int, cut: int
) -> None:
    with pytest.raises(ArtefactError):
        Artefacts(model_id, prefix_tokens, width, {cut: artefacts.scales[2]})


def test_scales_cannot_be_changed_under_their_id(artefacts: Artefacts) -> None:
    with pytest.raises(ValueError, match="read-only"):
        artefacts.scales[2].step[0] = 1


def test_what_artefacts_cannot_code_is_said_beforehand(artefacts: Artefacts, full_artefacts: Artefacts) -> None:
    empty = Artefacts("0" * 16, 1, 8, {})
    for name in ("raw", "fp16"):
        empty.check_can_code(CodecSetting.parse(name))
    for name in ("int8", "topk"):
        artefacts.check_can_code(CodecSetting.parse(name))
        with pytest.raises(ArtefactError, match=f"{name}.* needs scales"):
            empty.check_can_code(CodecSetting.parse(name))
    for name in ("mask", "mask_dynamic", "klt"):
        full_artefacts.check_can_code(CodecSetting.parse(name))
        with pytest.raises(ArtefactError, match=f"{name}.* needs masks and transforms"):
            artefacts.check_can_code(CodecSetting.parse(name))


def test_a_cut_that_was_not_calibrated_cannot_be_coded(full_artefacts: Artefacts) -> None:
    full_artefacts.check_can_code(CodecSetting.parse("klt"), 2)
    full_artefacts.check_can_code(CodecSetting.parse("raw"), 77)
    for name, missing in (("klt", "tables"), ("mask", "tables"), ("int8", "scales"), ("topk", "scales")):
        with pytest.raises(ArtefactError, match=f"no {missing} for cut 77"):
            full_artefacts.check_can_code(CodecSetting.parse(name), 77)
