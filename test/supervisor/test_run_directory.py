"""A run that is gone on with: its folder is given, and kept as it is."""

from pathlib import Path

import pytest

from satllm_ros.cli import main as cli
from satllm_ros.constellation import preflight
from satllm_ros.supervisor import supervisor
from satllm_ros.supervisor.run_directory import new_run_directory, run_directory_of


def test_a_run_gets_a_directory_of_its_own_and_latest_points_to_it(tmp_path: Path) -> None:
    runs = tmp_path / "deep" / "runs"
    made = [new_run_directory(runs) for _ in range(3)]
    assert len(set(made)) == 3 and all(directory.is_dir() for directory in made)
    assert (runs / "latest").resolve() == made[-1].resolve()
    assert not (runs / "latest").readlink().is_absolute(), "a folder of runs can be moved"
    assert sorted(p.name for p in runs.iterdir()) == sorted([*(d.name for d in made), "latest"])


def test_a_latest_that_points_nowhere_is_mended_and_a_real_one_left(tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to("gone")
    made = new_run_directory(tmp_path)
    assert (tmp_path / "latest").resolve() == made.resolve()
    other = tmp_path / "other"
    (other / "latest").mkdir(parents=True)
    new_run_directory(other)
    assert (other / "latest").is_dir() and not (other / "latest").is_symlink()


def test_a_run_that_is_named_is_made_once_and_then_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = run_directory_of("mission/a", tmp_path / "runs")
    assert made == tmp_path / "mission" / "a" and made.is_dir()
    (made / "sensing.plan").write_text("kept")
    assert run_directory_of(str(made), tmp_path / "runs") == made
    assert (made / "sensing.plan").read_text() == "kept" and not (tmp_path / "runs").exists()


def test_the_last_run_is_gone_on_with_by_its_link(tmp_path: Path) -> None:
    first = run_directory_of("", tmp_path)
    latest = run_directory_of(str(tmp_path / "latest"), tmp_path)
    assert latest == first == first.resolve()
    assert run_directory_of("", tmp_path) != first


def test_a_run_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("kept")
    with pytest.raises(ValueError, match=r"run is '.*notes\.txt', which is a file; a folder is needed"):
        run_directory_of(str(file), tmp_path)


def test_up_goes_on_with_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flown: list[Path] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(preflight, "check", lambda constellation, **_: None)
    monkeypatch.setattr(
        supervisor, "run_graph", lambda specs, *, run_directory, **others: flown.append(run_directory) or 0
    )
    assert [cli.main(["up", "--run", "mission"]) for _ in range(2)] == [0, 0]
    assert flown == [tmp_path / "mission"] * 2 and not (tmp_path / "runs").exists()
    assert cli.main(["up"]) == 0
    assert flown[2].parent == tmp_path / "runs"


def test_a_run_and_a_folder_of_runs_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["up", "--run", "mission", "--runs", "runs"])
    assert "not allowed with" in capsys.readouterr().err


def test_a_run_of_something_else_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(preflight, "check", lambda constellation, **_: None)
    flown: list[Path] = []
    monkeypatch.setattr(
        supervisor, "run_graph", lambda specs, *, run_directory, **others: flown.append(run_directory) or 0
    )
    for day in ("day1", "day2"):
        (tmp_path / day).mkdir()
        for number in range(3):
            (tmp_path / day / f"{number}.jpg").write_bytes(day.encode() * (number + 1))
    (tmp_path / "day2" / "0.jpg").write_bytes(b"of another size")

    assert cli.main(["up", "--run", "r", "--images", "day1"]) == 0
    assert cli.main(["up", "--run", "r", "--images", "day1"]) == 0
    for other, words in (
        (["--images", "day2"], "1 image of another size (0.jpg)"),
        (["--camera"], "this is the topic"),
        ([], "this is the bag"),
    ):
        capsys.readouterr()
        assert cli.main(["up", "--run", "r", *other]) == 2
        (sentence,) = capsys.readouterr().err.splitlines()
        assert sentence.startswith("satllm: error: run folder") and words in sentence
    assert len(flown) == 2
