"""`colcon build` installs what `pip install .` installs."""

import os
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

import pytest
from installation import CHECKOUT

NOT_OURS = (
    "COLCON_IGNORE",
    "egg-info",
    "dist-info",
    "colcon-core",
    "__pycache__",
    "hook/",
    "package.bash",
    "package.ps1",
)


def relevant(paths: list[str]) -> set[str]:
    names = ("package.dsv", "package.sh", "package.zsh", ".pyc")
    return {path for path in paths if not any(mark in path for mark in NOT_OURS) and not path.endswith(names)}


@pytest.mark.skipif(
    "ROS_DISTRO" in os.environ, reason="with ROS 2 sourced the package under test is colcon's own build"
)
@pytest.mark.timeout(900)
@pytest.mark.slow
def test_colcon_installs_the_same_files_as_pip(tmp_path: Path) -> None:
    arguments = ["--base-paths", str(CHECKOUT), "--packages-select", "satllm_ros"]
    arguments += ["--build-base", str(tmp_path / "build"), "--install-base", str(tmp_path / "install")]
    # Not optimized: the names of the files are compared, not their contents.
    flags = [
        f"-DPython3_EXECUTABLE={sys.executable}",
        "-DBUILD_TESTING=OFF",
        "-DCMAKE_C_FLAGS_RELEASE=-O0",
        "-DCMAKE_CXX_FLAGS_RELEASE=-O0",
    ]
    finished = subprocess.run(
        [str(Path(sys.prefix) / "bin/colcon"), "--log-base", str(tmp_path / "log"), "build", *arguments]
        + ["--cmake-args", *flags],
        cwd=tmp_path,
        env={**os.environ, "AMENT_PREFIX_PATH": sys.prefix, "CMAKE_PREFIX_PATH": sys.prefix},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    prefix = tmp_path / "install/satllm_ros"
    colcon = [str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()]
    pip = [os.path.relpath(path.locate(), sys.prefix) for path in files("satllm_ros") or []]
    assert relevant(colcon) == relevant(pip)
