"""What an installed satllm_ros offers, whether pip or colcon installed it."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from installation import CHECKOUT, installed_prefix, run_python

EXECUTABLES = ("sensing", "satellite", "links", "planner", "ground", "satllm")

IMPORT_EVERY_INTERFACE = """
import importlib, sys
for interface in sys.argv[1:]:
    kind, name = interface.split("/")
    generated = getattr(importlib.import_module(f"satllm_ros.{kind}"), name)
    generated.__class__.__import_type_support__()
    assert generated.__class__._TYPE_SUPPORT is not None, interface
    generated()
"""


def declared_interfaces() -> list[str]:
    text = (CHECKOUT / "CMakeLists.txt").read_text()
    return re.search(r"set\(interface_files\s+([^)]*)\)", text).group(1).split()


def test_every_interface_file_is_declared_and_sorted() -> None:
    files = [*CHECKOUT.glob("msg/*.msg"), *CHECKOUT.glob("srv/*.srv")]
    assert declared_interfaces() == sorted(str(file.relative_to(CHECKOUT)) for file in files)


def test_every_message_imports_with_its_type_support_beside_the_python_code(tmp_path: Path) -> None:
    messages = [file.removesuffix(".msg") for file in declared_interfaces() if file.endswith(".msg")]
    code = "import satllm_ros.nodes, satllm_ros.planning" + IMPORT_EVERY_INTERFACE
    finished = run_python(code, tmp_path, *messages)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("name", EXECUTABLES)
def test_executable_starts_an_interpreter_that_exists(name: str) -> None:
    script = installed_prefix() / "lib/satllm_ros" / name
    assert os.access(script, os.X_OK)
    interpreter = script.read_text().splitlines()[0].removeprefix("#!")
    assert os.access(interpreter, os.X_OK)


@pytest.mark.parametrize("name", EXECUTABLES)
def test_executable_calls_a_main_that_exists(name: str) -> None:
    script = (installed_prefix() / "lib/satllm_ros" / name).read_text()
    module = re.search(r"^\s*from satllm_ros\.(\S+) import main$", script, re.MULTILINE).group(1)
    source = CHECKOUT / "satllm_ros" / (module.replace(".", "/") + ".py")
    assert re.search(r"^def main\(", source.read_text(), re.MULTILINE)


def test_satllm_prints_its_help_from_bin(tmp_path: Path) -> None:
    finished = subprocess.run(
        [installed_prefix() / "bin/satllm", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr
    assert "usage: satllm" in finished.stdout


@pytest.mark.parametrize("folder", ["launch", "config", "msg"])
def test_share_holds_every_file_of(folder: str) -> None:
    shared = installed_prefix() / "share/satllm_ros" / folder
    files = [file for file in (CHECKOUT / folder).rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    assert files
    for file in files:
        assert (shared / file.relative_to(CHECKOUT / folder)).read_bytes() == file.read_bytes()


def test_python_files_and_assets_are_installed(tmp_path: Path) -> None:
    finished = run_python("import satllm_ros; print(satllm_ros.__path__[0])", tmp_path)
    installed = Path(finished.stdout.strip())
    package = CHECKOUT / "satllm_ros"
    assert installed != package
    wanted = [file for file in package.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    lacking = [file for file in wanted if not (installed / file.relative_to(package)).is_file()]
    assert not lacking
    assert (installed / "py.typed").is_file()


def test_ament_index_and_cmake_know_the_package() -> None:
    index = installed_prefix() / "share/ament_index/resource_index"
    assert (index / "packages/satllm_ros").is_file()
    assert "msg/Plan.idl" in (index / "rosidl_interfaces/satllm_ros").read_text().split()
    assert (installed_prefix() / "share/satllm_ros/cmake/satllm_ros-config.cmake").is_file() or (
        installed_prefix() / "share/satllm_ros/cmake/satllm_rosConfig.cmake"
    ).is_file()
