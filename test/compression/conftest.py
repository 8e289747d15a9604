"""Small made-up models for the codecs, and the compiled library."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from made_models import ArtefactsMaker, SamplesMaker, make_artefacts, make_full_artefacts, make_samples

from satllm_ros.compression.coding import backend, native
from satllm_ros.compression.tables.artefacts import Artefacts

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def artefacts() -> Artefacts:
    return make_artefacts()


@pytest.fixture(scope="session")
def artefacts_maker() -> ArtefactsMaker:
    return make_artefacts


@pytest.fixture(scope="session")
def full_artefacts() -> Artefacts:
    return make_full_artefacts()


@pytest.fixture(scope="session")
def full_artefacts_maker() -> ArtefactsMaker:
    return make_full_artefacts


@pytest.fixture(scope="session")
def samples_maker() -> SamplesMaker:
    return make_samples


@pytest.fixture(scope="session")
def library_builder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compile the C sources with more options; gives the shared library."""

    def build(*options: str) -> Path:
        path = tmp_path_factory.mktemp("codec") / "libsatllm_codec.so"
        sources = sorted(map(str, (CHECKOUT / "src/codec").glob("*.c")))
        common = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffp-contract=off", "-fPIC", "-shared"]
        include = f"-I{CHECKOUT / 'include'}"
        command = ["gcc", *common, *options, include, *sources, "-o", str(path), "-lm"]
        subprocess.run(command, check=True)
        return path

    return build


@pytest.fixture(scope="session")
def library(library_builder: Callable[..., Path]) -> Path:
    """The library as it is installed."""
    return library_builder("-O3")


@pytest.fixture(params=["numpy", "compiled"])
def path_of_code(request: pytest.FixtureRequest, library: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with numpy's loops, then with the compiled ones."""
    monkeypatch.setattr(backend, "loops", backend.choose(native.load(library) if request.param == "compiled" else None))
    assert backend.loops.name == request.param
    return request.param
