"""`satllm contacts` and `satllm link-budget`, as they are typed."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from orbit_material import BUDGET, SETS, document

from satllm_ros.cli.main import main


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orbit.yaml"
    path.write_text(yaml.safe_dump(document(satellites=[{"name": "eye", "slot": 0}]) | {"budget": BUDGET}))
    return path


def asked(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    assert main([str(word) for word in words]) == 0
    return json.loads(capsys.readouterr().out)


def test_contacts_are_told_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = asked(capsys, "contacts", file, "--json")
    assert set(found) == {"passes", "isl", "orbit"}
    first = found["passes"][0]
    assert set(first) == {"index", "satellite", "site", "rise_s", "set_s", "max_elevation_deg"}
    # The first satellite is above the target at the epoch.
    assert (first["index"], first["satellite"], first["site"], first["rise_s"]) == (0, "eye", "target", 0.0)
    assert {row["satellite"] for row in found["passes"] if row["index"]} == {None}
    assert {row["site"] for row in found["passes"]} == {"station", "target"}
    assert set(found["isl"][0]) == {"from_index", "to_index", "start_s", "stop_s", "range_min_m", "range_max_m"}
    assert len(found["isl"]) == 12
    assert found["orbit"] == {
        "period_s": pytest.approx(5676.98, abs=0.01),
        "semi_major_axis_m": 6_878_137.0,
        "node_drift_deg_per_day": 0.0,
    }


def test_hours_replace_the_duration_and_links_can_be_left_out(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = asked(capsys, "contacts", file, "--json", "-", "--hours", 0.5, "--isl", "none")
    assert short["isl"] == [] and 0 < len(short["passes"]) < 10
    assert max(row["set_s"] for row in short["passes"]) <= 1800.0
    assert (
        main(["contacts", str(file), "--json", str(tmp_path / "found.json"), "--hours", "0.5", "--isl", "plane"]) == 0
    )
    said = capsys.readouterr().out
    assert "12 satellites, 0.5 h from 2026-01-01 00:00:00 UTC" in said and "rise [s]" in said and "range [km]" in said
    assert len(json.loads((tmp_path / "found.json").read_text())["isl"]) == 12


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_picture_is_drawn(file: Path, tmp_path: Path, suffix: str) -> None:
    picture = tmp_path / f"contacts.{suffix}"
    assert main(["contacts", str(file), "--plot", str(picture), "--hours", "2"]) == 0
    assert picture.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--hours", "0"], "--hours is 0"),
        (["--hours", "nan"], "--hours is nan"),
        (["--plot", "map.doc"], "doc"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    file: Path, tmp_path: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tmp_path / word) if word.endswith(".doc") else word for word in words]
    assert main(["contacts", str(file), *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("satllm: error: ") and said.count("\n") == 1 and sentence in said


def sets_file(tmp_path: Path, epoch: str) -> Path:
    (tmp_path / "iss.tle").write_text("\n".join(SETS["iss"][1:]) + "\n")
    path = tmp_path / "tle.yaml"
    path.write_text(
        yaml.safe_dump(document(propagator="sgp4", walker=None, tle="iss.tle", greenwich_deg=None, epoch=epoch))
    )
    return path


def test_old_element_sets_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fresh = asked(capsys, "contacts", sets_file(tmp_path, "2019-12-20T00:00:00Z"), "--json", "--isl", "all")
    assert fresh["isl"] == [] and fresh["orbit"]["period_s"] / 60 == pytest.approx(92.9, abs=0.1)
    # The node of the station's orbit goes west by five degrees a day.
    assert fresh["orbit"]["node_drift_deg_per_day"] == pytest.approx(-5.0, abs=0.1)
    assert main(["contacts", str(sets_file(tmp_path, "2020-01-01T00:00:00Z")), "--hours", "1"]) == 0
    assert "warning: element set 25544 is used 22 days from its own epoch" in capsys.readouterr().err
    assert main(["contacts", str(sets_file(tmp_path, "2020-01-01T00:00:00Z")), "--isl", "plane"]) == 2
    assert "--isl plane needs planes" in capsys.readouterr().err


def test_a_set_that_cannot_be_followed_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # A century on, drag has brought it down.
    assert main(["contacts", str(sets_file(tmp_path, "2119-12-20T00:00:00Z"))]) == 2
    assert "cannot be followed to 0 s after the epoch" in capsys.readouterr().err.splitlines()[-1]


def test_budgets_are_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = asked(capsys, "link-budget", file, "--json")
    assert set(found["isl"]) == {"range_m", "received_w", "noise_w", "snr_db", "rate_bps"}
    assert [set(row) for row in found["s2g"]] == [{"range_m", "path_loss_db", "received_dbm", "snr_db", "rate_bps"}] * 2
    assert main(["link-budget", str(file)]) == 0
    said = capsys.readouterr().out
    assert "Optical link" in said and "received [dBm]" in said and f"{found['isl']['rate_bps'] / 1e9:.3f}" in said


def test_a_file_without_a_budget_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.yaml"
    path.write_text("orbit: {}\n")
    assert main(["link-budget", str(path)]) == 2
    assert "none.yaml: budget is missing" in capsys.readouterr().err
    path.write_text("a: [")
    assert main(["contacts", str(path)]) == 2
    assert "none.yaml is not YAML" in capsys.readouterr().err
