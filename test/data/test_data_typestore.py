import shutil
import subprocess
import sys
from pathlib import Path

import satllm_ros.data

PACKAGE = Path(satllm_ros.data.__file__).parents[1]


def run_installed(prefix: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code against a copy of the package under an installation prefix."""
    site = prefix / "lib" / "python3" / "site-packages"
    shutil.copytree(PACKAGE / "data", site / "satllm_ros" / "data", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "satllm_ros" / "__init__.py").touch()
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(site)!r}); {code}"],
        capture_output=True,
        text=True,
        cwd=prefix,
        check=False,
    )


def test_the_installed_package_finds_its_message_file_under_its_own_prefix(tmp_path: Path) -> None:
    share = tmp_path / "share" / "satllm_ros" / "msg"
    share.mkdir(parents=True)
    (share / "SceneLabel.msg").write_text("uint32 label\n")
    code = "from satllm_ros.data.rosbag.typestore import *; print(bag_typestore().fielddefs[SCENE_LABEL][1])"
    result = run_installed(tmp_path, code)
    assert "label" in result.stdout and "class_name" not in result.stdout, result.stderr


def test_without_the_message_file_the_places_searched_are_named(tmp_path: Path) -> None:
    result = run_installed(tmp_path, "from satllm_ros.data.rosbag.typestore import *; message_definition('SceneLabel')")
    assert f"{tmp_path / 'share' / 'satllm_ros' / 'msg'}" in result.stderr
    assert "the installation is incomplete" in result.stderr


def test_reading_bags_needs_neither_torch_nor_pyarrow_nor_ros() -> None:
    names = ("torch", "timm", "pyarrow", "rclpy", "cv2")
    code = (
        "import sys, satllm_ros.data.rosbag.bag, satllm_ros.data.folder, satllm_ros.data.labelled.datasets; "
        "import satllm_ros.cli.bag; "
        f"print([name for name in {names} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "[]", result.stderr
