"""Where logs go, with and without a home."""

from pathlib import Path

import pytest

from satllm_ros.supervisor import log_directory as logs

NOWHERE = "/proc/1/nothing"


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"HOME": "/home/x"}, "/home/x/.ros/log"),
        ({"HOME": "/home/x", "ROS_HOME": "/ros"}, "/ros/log"),
        ({"HOME": "/home/x", "ROS_HOME": "~/ros"}, "/home/x/ros/log"),
        ({"HOME": "/home/x", "ROS_HOME": "/ros", "ROS_LOG_DIR": "/logs"}, "/logs"),
        ({"HOME": "/home/x", "ROS_LOG_DIR": "~/logs"}, "/home/x/logs"),
        ({}, None),
        ({"HOME": ""}, None),
        ({"ROS_LOG_DIR": "~/logs"}, None),
        ({"ROS_HOME": "~/ros"}, None),
    ],
)
def test_the_folder_ros_takes(environ: dict[str, str], found: str | None) -> None:
    assert logs.ros_log_directory(environ) == (Path(found) if found else None)


@pytest.mark.parametrize("home", [{}, {"HOME": NOWHERE}])
def test_without_a_home_all_goes_to_the_run(home: dict[str, str], tmp_path: Path) -> None:
    variables = logs.log_variables(home, tmp_path)
    assert variables == {"ROS_LOG_DIR": str(tmp_path / "ros"), "MPLCONFIGDIR": str(tmp_path / "matplotlib")}
    assert "MPLCONFIGDIR" not in logs.log_variables(home | {"MPLCONFIGDIR": "/own"}, tmp_path)


def test_a_home_keeps_what_libraries_keep(tmp_path: Path) -> None:
    variables = logs.log_variables({"HOME": str(tmp_path)}, tmp_path / "run")
    assert variables == {"ROS_LOG_DIR": str(tmp_path / "run" / "ros")}


def test_the_users_folder_stays_if_it_can_be_written(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "ROS_LOG_DIR": str(tmp_path / "own")}
    assert logs.log_variables(environ, tmp_path / "run") == {}
    environ["ROS_LOG_DIR"] = NOWHERE
    assert logs.log_variables(environ, tmp_path / "run") == {"ROS_LOG_DIR": str(tmp_path / "run" / "ros")}


def test_a_process_started_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert logs.rescue_variables({"HOME": str(tmp_path / "home")}) == {}
    rescued = logs.rescue_variables({})
    assert set(rescued) == {"ROS_LOG_DIR", "MPLCONFIGDIR"}
    assert all(Path(path).is_relative_to(tmp_path) and Path(path).parent.is_dir() for path in rescued.values())
