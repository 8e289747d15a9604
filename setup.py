"""`pip install .` for an ament_cmake package: CMake builds and installs, pip packs what CMake installed."""

import os
import shutil
import subprocess
import sys
import sysconfig
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
NAME = "satllm_ros"


def site_packages() -> Path:
    """Folder of this interpreter's packages, relative to its prefix."""
    return Path(sysconfig.get_path("platlib")).relative_to(sys.prefix)


def cmake_environment() -> dict[str, str]:
    """Environment of the CMake run, in which this interpreter's prefix counts as a sourced ROS prefix."""
    environment = dict(os.environ)
    for variable in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH"):
        others = [entry for entry in environment.get(variable, "").split(os.pathsep) if entry]
        environment[variable] = os.pathsep.join([sys.prefix, *others])
    # pip's isolated build environment hides site-packages, and with it ament_package, from the Python
    # that CMake starts.
    paths = environment.pop("PYTHONPATH", "").split(os.pathsep)
    kept = [entry for entry in paths if entry and "pip-build-env-" not in entry]
    if kept:
        environment["PYTHONPATH"] = os.pathsep.join(kept)
    return environment


class BuildWithCMake(build_py):
    """Build through CMake and sort its install tree into the wheel's package and data files."""

    def run(self) -> None:
        if self.editable_mode:
            raise SystemExit(
                f"{NAME}: an editable install cannot merge generated messages and sources; use `pip install .`"
            )
        prefix = self._cmake_install()
        package = prefix / site_packages() / NAME
        target = Path(self.build_lib) / NAME
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(package, target)
        shutil.rmtree(package.parent)
        self.distribution.data_files = [
            (str(folder.relative_to(prefix)), files)
            for folder in sorted({path.parent for path in prefix.rglob("*") if path.is_file()})
            if (files := sorted(str(path) for path in folder.iterdir() if path.is_file()))
        ]

    def _cmake_install(self) -> Path:
        """Configure, build and install below a staging folder; gives the staged prefix."""
        # Kept between runs, one per prefix, so that a change of Python code alone compiles nothing.
        key = sha256(f"{sys.prefix} {sys.version}".encode()).hexdigest()[:8]
        build = HERE / "build" / f"cmake-{key}"
        stage = build / "stage"
        shutil.rmtree(stage, ignore_errors=True)
        environment = {**cmake_environment(), "DESTDIR": str(stage)}
        commands = [
            [
                *("cmake", "-S", str(HERE), "-B", str(build), "-DBUILD_TESTING=OFF"),
                *(f"-DCMAKE_INSTALL_PREFIX={sys.prefix}", f"-DPython3_EXECUTABLE={sys.executable}"),
                f"-DPYTHON_INSTALL_DIR={site_packages()}",
            ],
            ["cmake", "--build", str(build), "--parallel", str(os.cpu_count() or 1)],
            ["cmake", "--install", str(build)],
        ]
        for command in commands:
            subprocess.run(command, check=True, env=environment)
        return stage / Path(sys.prefix).relative_to(Path(sys.prefix).anchor)


class PlatformDistribution(Distribution):
    """A distribution with compiled parts, though no extension of it is known to setuptools."""

    def has_ext_modules(self) -> bool:
        return True


setup(
    version=ElementTree.parse(HERE / "package.xml").findtext("version"),
    packages=[NAME],
    cmdclass={"build_py": BuildWithCMake},
    distclass=PlatformDistribution,
)
