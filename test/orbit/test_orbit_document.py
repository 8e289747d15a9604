"""A file of an orbit: what it says, and one sentence for what it must not."""

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from orbit_material import BUDGET, SETS, STATION, TARGET, document, orbit

from satllm_ros.documents.section import DocumentError
from satllm_ros.orbit.document import read_budget, read_orbit
from satllm_ros.orbit.scenario import Earth, Propagator, SiteKind


def test_the_papers_constellation_is_read() -> None:
    read = orbit()
    assert read.epoch == datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert (read.satellites, read.propagator, read.earth) == (12, Propagator.KEPLER, Earth.SPHERE)
    assert [(site.name, site.kind) for site in read.sites] == [
        ("station", SiteKind.STATION),
        ("target", SiteKind.TARGET),
    ]
    assert read.members == {}


@pytest.mark.parametrize(
    "epoch",
    [
        date(2026, 1, 1),
        datetime(2026, 1, 1),
        datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        "2026-01-01",
        "2026-01-01T00:00:00+00:00",
    ],
)
def test_an_epoch_is_a_date_or_a_text(epoch: object) -> None:
    assert orbit(epoch=epoch).epoch == datetime(2026, 1, 1, tzinfo=timezone.utc)


def test_satellites_of_the_file_are_on_their_slots() -> None:
    names = [{"name": "a", "slot": 3}, {"name": "b"}, {"name": "c", "slot": 0}]
    assert orbit(satellites=names).members == {3: "a", 0: "c"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"altitude_m": -1}, "altitude_m is -1"),
        ({"total": 11, "planes": 2}, "11 satellites .* 2 planes"),
        ({"phasing": 1}, "phasing is 1; a number from 0 to 0"),
        ({"planes": 3, "phasing": -1}, "phasing is -1"),
        ({"duration_s": 0}, "duration_s is 0"),
        ({"duration_s": -5}, "duration_s is -5"),
        ({"sites": [STATION | {"elevation_deg": 91}]}, "elevation_deg is 91"),
        ({"sites": [STATION | {"elevation_deg": -1}]}, "elevation_deg is -1"),
        ({"sites": [STATION | {"latitude_deg": 91}]}, "latitude_deg is 91"),
        ({"sites": [STATION, TARGET, STATION]}, "'station' is named twice"),
        ({"sites": [STATION | {"height": 3}]}, "unknown field 'height'"),
        ({"sites": [STATION | {"kind": "ship"}]}, "kind is 'ship'; allowed are station, target"),
        ({"satellites": [{"name": "a", "slot": 3}, {"name": "b", "slot": 3}]}, "a and b are both on slot 3"),
        ({"satellites": [{"name": "a", "slot": 12}]}, "slot is 12; a number from 0 to 11"),
        ({"propagator": "sgp4"}, "propagator is sgp4 .* needs tle"),
        ({"propagator": "vsop"}, "propagator is 'vsop'; allowed are kepler, j2, sgp4"),
        ({"walker": None}, "neither walker nor tle"),
        ({"tle": "sets.tle"}, "both walker and tle"),
        ({"epoch": "yesterday"}, "epoch is 'yesterday'"),
        ({"epoch": 2026}, "epoch is 2026"),
        ({"isl_range_m": 0}, "isl_range_m is 0"),
        ({"earth": "flat"}, "earth is 'flat'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        orbit(**changes)


def test_an_unknown_field_is_refused() -> None:
    content = document()
    content["orbit"]["altitude"] = 3
    with pytest.raises(DocumentError, match="unknown field 'altitude'"):
        read_orbit(content, Path("."), "orbit.yaml")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda lines: lines[:1], "iss.* has no line 2"),
        (lambda lines: lines[::-1], "has no line 1"),
        (lambda lines: [lines[0], lines[1][:-1]], "has no line 2"),
        (lambda lines: [lines[0], lines[1][:-1] + "3"], "line 2 ends with 3, not 2"),
        (lambda lines: [], "has no"),
    ],
)
def test_a_spoilt_element_set_is_refused(spoil: Any, words: str, tmp_path: Path) -> None:
    lines = list(SETS["iss"][1:])
    (tmp_path / "sets.tle").write_text("\n".join(["iss", *spoil(lines)]) + "\n")
    with pytest.raises(DocumentError, match=words):
        orbit(tmp_path, propagator="sgp4", walker=None, tle="sets.tle")


def test_element_sets_are_read_with_and_without_names(tmp_path: Path) -> None:
    text = "\n".join(["0 ISS (ZARYA)", *SETS["iss"][1:], "", *SETS["cbers"][1:]])
    (tmp_path / "sets.tle").write_text(text)
    read = orbit(tmp_path, propagator="sgp4", walker=None, tle="sets.tle")
    assert [element.name for element in read.elements] == ["ISS (ZARYA)", "28057"]
    assert read.satellites == 2 and read.planes() is None


def test_a_budget_is_read_whole_or_in_part() -> None:
    both = read_budget({"budget": BUDGET}, "budget.yaml")
    assert both.isl is not None and both.s2g is not None and both.s2g.ranges_m == (500e3, 700e3)
    assert read_budget({"budget": {"isl": BUDGET["isl"]}}, "budget.yaml").s2g is None


@pytest.mark.parametrize(
    ("part", "key", "value", "words"),
    [
        ("isl", "power_w", 0, "power_w is 0"),
        ("isl", "divergence", "quarter", "divergence is 'quarter'; allowed are full, half"),
        ("isl", "color", 1, "unknown field 'color'"),
        ("s2g", "ranges_m", [], "ranges_m is"),
        ("s2g", "ranges_m", [1e5, -1], r"ranges_m\[1\] is -1"),
        ("s2g", "ranges_m", [1e5, 0], r"ranges_m\[1\] is 0; a number above 0"),
        ("s2g", "exponent", "two", "exponent is 'two'"),
    ],
)
def test_a_budget_that_cannot_be_is_refused_by_name(part: str, key: str, value: object, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        read_budget({"budget": BUDGET | {part: BUDGET[part] | {key: value}}}, "budget.yaml")
    with pytest.raises(DocumentError, match="names no link"):
        read_budget({"budget": {}}, "budget.yaml")
