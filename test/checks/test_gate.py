"""What is refused before a flight, in one sentence, and what is only said; `satllm doctor`."""

import json
import re
from pathlib import Path

import pytest

from satllm_ros.checks import catalogue, gate
from satllm_ros.checks.catalogue import CHECKS
from satllm_ros.checks.check import Check, Cost, Finding, Level, Surroundings
from satllm_ros.cli import main as cli

DOCS = Path(__file__).resolve().parents[2] / "docs"


def listed(*found: tuple[str, Cost, Level]) -> tuple[Check, ...]:
    """A list of checks that find this, and note that they have looked."""
    return tuple(
        Check(
            name,
            cost,
            f"mend {name}",
            lambda around, n=name, lv=level: (around.environ[n], Finding(lv, f"{n} is so"))[1],
        )
        for name, cost, level in found
    )


class Looked(dict[str, str]):
    """An environment that notes which checks asked for their name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __getitem__(self, name: str) -> str:
        self.names.append(name)
        return ""


def test_the_first_refusal_is_told_with_its_remedy_and_nothing_slow_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = listed(
        ("a", Cost.INSTANT, Level.WARN),
        ("b", Cost.INSTANT, Level.REFUSE),
        ("c", Cost.QUICK, Level.REFUSE),
        ("d", Cost.SLOW, Level.REFUSE),
    )
    monkeypatch.setattr(gate, "CHECKS", checks)
    looked = Looked()
    with pytest.raises(gate.CannotFlyError) as error:
        gate.check_computer(Surroundings(looked))
    assert str(error.value) == "b is so: mend b"
    assert sorted(looked.names) == ["a", "b"]


def test_warnings_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = listed(
        ("a", Cost.INSTANT, Level.WARN), ("b", Cost.QUICK, Level.WARN), ("run folder", Cost.INSTANT, Level.REFUSE)
    )
    monkeypatch.setattr(gate, "CHECKS", checks)
    looked = Looked()
    assert gate.check_computer(Surroundings(looked)) == ["a is so: mend a", "b is so: mend b"]
    assert looked.names == ["a", "b"]


def test_what_another_python_finds_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "CHECKS", listed(("rclpy", Cost.INSTANT, Level.REFUSE)))
    assert gate.check_computer(Surroundings(Looked()), same_python=False) == []
    with pytest.raises(gate.CannotFlyError):
        gate.check_computer(Surroundings(Looked()))


@pytest.mark.parametrize(
    "environ",
    [
        {"ROS_DOMAIN_ID": "abc"},
        {"ROS_DOMAIN_ID": "240"},
        {"RMW_IMPLEMENTATION": "rmw_absent_cpp"},
        {"ROS_LOCALHOST_ONLY": "yes"},
        {"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"},
        {"ROS_STATIC_PEERS": "a b"},
        {"ROS_DISCOVERY_SERVER": "a b"},
    ],
)
def test_a_process_started_by_hand_looks_too(environ: dict[str, str]) -> None:
    (name,) = environ
    with pytest.raises(gate.CannotFlyError, match=name):
        gate.check_process(environ)
    gate.check_process({})


def test_a_run_folder_that_cannot_be_made(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for place in ("/proc/1/nothing", str(file)):
        for run, runs in ((place, tmp_path), ("", Path(place))):
            with pytest.raises(gate.CannotFlyError, match=re.escape(f"{place} cannot be made")):
                gate.check_run_folder(run, runs)
    gate.check_run_folder(str(tmp_path / "deep" / "new"), tmp_path)
    assert list((tmp_path / "deep" / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "python"),
    [("#!/opt/bin/python3\nimport sys\n", "/opt/bin/python3"), ("#! /a/b -I\n", "/a/b -I"), ("\x7fELF", ""), ("", "")],
)
def test_the_python_of_an_executable(tmp_path: Path, text: str, python: str) -> None:
    file = tmp_path / "node"
    file.write_text(text)
    assert gate.python_of(file) == python
    assert gate.python_of(tmp_path / "absent") == ""


def test_a_check_that_fails_itself_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(_: Surroundings) -> Finding:
        raise RuntimeError("no idea")

    (result,) = catalogue.results(Surroundings({}), [Check("x", Cost.INSTANT, "ask", look)])
    assert result.level is Level.REFUSE and "no idea" in result.sentence


def fake_doctor(monkeypatch: pytest.MonkeyPatch, level: Level) -> None:
    checks = (
        Check("good", Cost.INSTANT, "nothing", lambda _: Finding(Level.OK, "all is well")),
        Check("other", Cost.SLOW, "mend it", lambda _: Finding(level, "something is")),
    )
    monkeypatch.setattr(catalogue.results, "__defaults__", (checks,))


@pytest.mark.parametrize(("level", "code"), [(Level.OK, 0), (Level.WARN, 0), (Level.REFUSE, 1)])
def test_doctor_prints_a_table_and_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, level: Level, code: int
) -> None:
    fake_doctor(monkeypatch, level)
    assert cli.main(["doctor"]) == code
    printed = capsys.readouterr().out
    assert "ok      good" in printed and f"{level.value:<8}other" in printed
    assert ("-> mend it" in printed) is (level is not Level.OK)
    assert cli.main(["doctor", "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["flies"] is (code == 0)
    assert [check["level"] for check in document["checks"]] == ["ok", level.value]
    assert cli.main(["doctor", "--json", str(tmp_path / "doctor.json")]) == code
    assert json.loads((tmp_path / "doctor.json").read_text()) == document
    assert "good" in capsys.readouterr().out


def test_the_list_is_documented() -> None:
    page = (DOCS / "troubleshooting.md").read_text()
    rows = {cells[1].strip(): cells for line in page.splitlines() if len(cells := line.split("|")) == 6}
    for check in CHECKS:
        assert check.name in rows, f"docs/troubleshooting.md lacks {check.name}"
        assert rows[check.name][2].strip() == check.cost.value
        assert rows[check.name][4].strip() == check.remedy


def test_names_are_told_apart() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
