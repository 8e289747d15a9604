"""The files a planner is given: what it takes from them, and what it refuses."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from satllm_ros.assets.paths import artefacts_path, checkpoint_path
from satllm_ros.compression.tables.artefacts import load_artefacts
from satllm_ros.documents.section import DocumentError
from satllm_ros.model.spec import read_spec
from satllm_ros.profiling.files import BlockTimes, CodecCost, Profile, save_profile
from satllm_ros.profiling.inputs import age_sentence
from satllm_ros.profiling.planner_inputs import PlannerInputs, read_inputs

SPEC = read_spec(checkpoint_path("demo"))
ARTEFACTS = load_artefacts(artefacts_path("demo"))
THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
LAYERS = tuple(float(i + 1) for i in range(SPEC.blocks))
PROFILE = Profile(
    SPEC.model_id,
    "Some CPU, 2 cores",
    THEN.isoformat(),
    (BlockTimes(10, 1, LAYERS), BlockTimes(10, 4, tuple(s / 2 for s in LAYERS))),
    codecs={"int8": CodecCost(3e-9, 1e-9, 0.2)},
)
ALIKE = {"int8": {"alike": {"accuracy": 0.5, "ratio": 0.2}}, "raw": {"alike": {"accuracy": 0.6, "ratio": 1.0}}}


@pytest.fixture
def profile_file(tmp_path: Path) -> Path:
    save_profile(tmp_path / "a.profile.yaml", PROFILE)
    return tmp_path / "a.profile.yaml"


@pytest.fixture
def calibration_file(tmp_path: Path) -> Path:
    return write_calibration(tmp_path / "c.yaml")


def write_calibration(path: Path, **changes: object) -> Path:
    document = {"format": "satllm-calibration", "version": 1, "model_id": SPEC.model_id, "settings": ALIKE}
    path.write_text(yaml.safe_dump(document | {"measured_at": THEN.isoformat()} | changes))
    return path


def by_cut(cuts: object) -> dict[str, Any]:
    """Measurements of single cuts, as a change of a calibration."""
    return {"settings": {"int8": ALIKE["int8"] | {"by_cut": cuts}}}


def read(*profiles: str, codecs: Sequence[str] = ("int8", "raw"), **given: Any) -> PlannerInputs:
    given = {"batch_tiles": 20, "threads": 4} | given
    return read_inputs(SPEC, ARTEFACTS, codecs, satellites=["sat1", "sat2", "sat3"], profiles=profiles, **given)


def test_without_files_all_is_as_the_artefacts_say() -> None:
    inputs = read()
    found = [ARTEFACTS.measurements[n] for n in ("int8", "raw")]
    assert [s.accuracy for s in inputs.settings] == [m.accuracy for m in found]
    assert [s.encode_s_per_byte for s in inputs.settings] == [m.encode_s_per_byte for m in found] > [0.0, 0.0]
    assert [s.ratio_at(4) for s in inputs.settings] == [found[0].by_cut[4].ratio, 1.0]
    assert [s.loss[3] for s in inputs.settings] == [m.by_cut[4].loss for m in found]
    assert not inputs.devices and inputs.sentences() == [] and inputs.ages() == {}


def test_times_are_those_of_a_tile_in_batches_and_threads_as_flown(profile_file: Path) -> None:
    device = read(f"sat2={profile_file}").devices["sat2"]
    assert device.layer_s == pytest.approx([s / 2 / 10 for s in LAYERS])
    assert device.coding_s_per_byte == {"int8": (3e-9, 1e-9)}


def test_a_calibration_takes_the_place_of_the_artefacts_measurements(calibration_file: Path) -> None:
    (int8,) = read(codecs=["int8"], calibration=str(calibration_file)).settings
    assert (int8.name, int8.accuracy, int8.ratio, int8.loss) == ("int8", 0.5, 0.2, None)
    # It measures no times: those of the artefacts remain.
    found = ARTEFACTS.measurements["int8"]
    assert (int8.encode_s_per_byte, int8.decode_s_per_byte) == (found.encode_s_per_byte, found.decode_s_per_byte)


def test_a_calibration_gives_ratios_and_losses_of_single_cuts(tmp_path: Path) -> None:
    by_cut = {4: {"accuracy": 0.57, "ratio": 0.3}, 5: {"accuracy": 0.61, "ratio": 0.1}}
    settings = {"int8": ALIKE["int8"] | {"by_cut": by_cut}}
    path = write_calibration(tmp_path / "c.yaml", settings=settings, uncompressed=0.6)
    (int8,) = read(codecs=["int8"], calibration=str(path)).settings
    # Other cuts have the ratio of all alike, and the mean of the two losses.
    assert int8.ratio == (0.2, 0.2, 0.2, 0.3, 0.1, *[0.2] * 6)
    assert int8.loss == pytest.approx((*[0.01] * 3, 0.03, -0.01, *[0.01] * 6))


def test_every_file_says_its_age_once(profile_file: Path, calibration_file: Path) -> None:
    inputs = read(f"sat1={profile_file}", f"sat3={profile_file}", calibration=str(calibration_file))
    assert inputs.sentences(THEN + timedelta(days=3)) == [
        "calibration is 3 days old",
        "profile of sat1, sat3 is 3 days old; measured on Some CPU, 2 cores, and whether they are such cannot be seen "
        "from here",
    ]
    assert inputs.ages(THEN + timedelta(hours=1)) == {"calibration": 3600.0, "profile of sat1, sat3": 3600.0}


def test_a_measurement_from_the_future_is_told(profile_file: Path) -> None:
    (sentence,) = read(f"sat1={profile_file}").sentences(THEN - timedelta(hours=5))
    assert sentence.startswith("profile of sat1 is 5 hours ahead of this computer's clock; measured on")
    assert age_sentence("x", -59.0) == "x is 0 seconds old" and age_sentence("x", -60.0).startswith("x is 60 seconds a")


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_the_ends_of_time_are_ages_too(tmp_path: Path, moment: str) -> None:
    save_profile(tmp_path / "p.yaml", replace(PROFILE, measured_at=moment))
    calibration = write_calibration(tmp_path / "c.yaml", measured_at=moment)
    assert len(read(f"sat1={tmp_path / 'p.yaml'}", calibration=str(calibration)).sentences()) == 2


@pytest.mark.parametrize("entry", ["sat9={file}", "{file}", "sat1=", "={file}", "sat1"])
def test_an_entry_that_is_no_file_for_a_satellite(profile_file: Path, entry: str) -> None:
    with pytest.raises(ValueError, match="is not one file for one satellite; allowed is NAME=FILE, once for each of"):
        read(entry.format(file=profile_file))


def test_two_files_for_one_satellite(profile_file: Path) -> None:
    with pytest.raises(ValueError, match="is not one file for one satellite"):
        read(f"sat1={profile_file}", f"sat1={profile_file}")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_id": "0123456789abcdef"}, "is of model '0123456789abcdef', needed is"),
        ({"blocks": (BlockTimes(1, 1, (1.0, 2.0)),)}, "is of 2 layers; the model has 12"),
        (
            {"blocks": (BlockTimes(1, 1, (0.0,) * SPEC.blocks),)},
            r"blocks\[0\]: layer_s\[0\] is 0.0; a number from 1e-09 to",
        ),
    ],
)
def test_profiles_that_do_not_fit(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    save_profile(tmp_path / "p.yaml", replace(PROFILE, **change))
    with pytest.raises(DocumentError, match=sentence):
        read(f"sat1={tmp_path / 'p.yaml'}")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_id": "x"}, "is of model 'x', needed is"),
        ({"settings": {"raw": ALIKE["raw"]}}, "holds no measurement of setting 'int8'; measured: raw"),
        ({"settings": {}}, "holds no measurement of setting 'int8'; measured: none"),
        ({"settings": ["int8"]}, r"c\.yaml: settings is list; a mapping"),
        ({"settings": {"int8": {}}}, "settings: int8: alike is missing"),
        ({"settings": {"int8": ALIKE["int8"] | {"alone": {}}}}, "settings: int8: unknown field 'alone'"),
        ({"settings": {"": ALIKE["int8"]}}, "settings: : name is ''; a printable name"),
        (by_cut({1: {"ratio": 0.2}}), "settings: int8: by_cut: 1: accuracy is missing"),
        (by_cut({1: {"ratio": math.nan, "accuracy": 0.5}}), "by_cut: 1: ratio is nan; a number from 1e-09"),
        (by_cut({1: {"ratio": 0.2, "accuracy": 1.5}}), "by_cut: 1: accuracy is 1.5; a number from 0 to 1"),
        (by_cut({12: {"ratio": 0.2, "accuracy": 0.5}}), "by_cut has cut 12; a number from 1 to 11"),
        (by_cut({"1": {"ratio": 0.2, "accuracy": 0.5}}), "by_cut has cut '1'; a number from 1 to 11"),
        (by_cut({1: {"ratio": 0.2, "accuracy": 0.5}}), r"c\.yaml: uncompressed is missing"),
        (by_cut([1]), "by_cut is list; a mapping"),
        ({"setting": {}}, "unknown field 'setting'; did you mean settings?"),
        ({"measured_at": "2026-01-02T03:04:05"}, "measured_at is '2026-01-02T03:04:05'; a time with its zone"),
        ({"measured_at": 7}, r"c\.yaml: measured_at is 7; a string"),
        ({"version": 2}, "is no satllm-calibration of version 1"),
    ],
)
def test_calibrations_that_do_not_fit(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DocumentError, match=sentence):
        read(calibration=str(write_calibration(tmp_path / "c.yaml", **change)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for given in ({"calibration": str(tmp_path / "absent.yaml")}, {"profiles": [f"sat1={tmp_path / 'absent.yaml'}"]}):
        with pytest.raises(FileNotFoundError, match=r"absent\.yaml"):
            read_inputs(SPEC, ARTEFACTS, ["raw"], satellites=["sat1"], **given)


def test_no_setting_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="no codec setting is offered; at least one is needed, such as raw"):
        read(codecs=())
