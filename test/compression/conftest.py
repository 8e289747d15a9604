"""Small made-up models for the codecs: 1 prefix token, width 8, cuts 2 and 3 calibrated; and the compiled library."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from satllm_ros.compression import native
from satllm_ros.compression.artefacts import Artefacts
from satllm_ros.compression.calibrate import calibrate
from satllm_ros.compression.calibrate_tables import calibrate_tables
from satllm_ros.compression.scales import CutScales
from satllm_ros.compression.sensitivity import Sensitivity

MODEL_ID = "0123456789abcdef"
CHECKOUT = Path(__file__).parents[2]
CUTS = (2, 3)


def make_artefacts(*, prefix_tokens: int = 1, width: int = 8, seed: int = 0, model_id: str = MODEL_ID) -> Artefacts:
    """Random usable scales for cuts 2 and 3."""
    generator = np.random.default_rng(seed)
    scales = {
        cut: CutScales(
            mean=generator.normal(0, 3, width),
            step=generator.uniform(0.01, 0.5, width),
            prefix_mean=generator.normal(0, 3, (prefix_tokens, width)),
            prefix_step=generator.uniform(0.001, 0.01, (prefix_tokens, width)),
        )
        for cut in CUTS
    }
    return Artefacts(model_id, prefix_tokens, width, scales)


def make_samples(*, prefix_tokens: int = 1, width: int = 8, patches: int = 9, images: int = 40, seed: int = 0):
    """Activations of a made-up model: channels that depend on each other, neighbouring tokens alike."""
    model, generator = np.random.default_rng(1), np.random.default_rng(seed)
    mixing = model.normal(0, 1, (width, width)) * 2.0 ** -np.arange(width)[:, None]
    offset = model.normal(0, 2, (prefix_tokens + patches, width))
    tokens = generator.normal(0, 1, (images, prefix_tokens + patches + 1, width))
    smooth = tokens[:, 1:] + tokens[:, :-1]
    return (smooth @ mixing + offset).astype(np.float32)


def make_full_artefacts(*, prefix_tokens: int = 1, width: int = 8, patches: int = 9, seed: int = 0) -> Artefacts:
    """Scales and tables, calibrated on `make_samples` of the same sizes."""
    generator = np.random.default_rng(seed)
    sizes = {"prefix_tokens": prefix_tokens, "width": width, "patches": patches}
    batch = {cut: make_samples(**sizes, seed=seed + cut) for cut in CUTS}
    directions = generator.normal(0, 0.05, (3 * width, width))
    metric = directions.T @ directions / len(directions)
    squares = generator.uniform(0.5, 2, (prefix_tokens + patches, width)) * np.diag(metric)
    found = Sensitivity(metric, 10 * metric, squares)
    tables, coefficients = calibrate_tables(lambda: [batch], dict.fromkeys(CUTS, found), prefix_tokens)
    scales = calibrate([batch], prefix_tokens)
    return Artefacts(MODEL_ID, prefix_tokens, width, scales, tables=tables, coefficients=coefficients)


@pytest.fixture(scope="session")
def artefacts() -> Artefacts:
    return make_artefacts()


@pytest.fixture(scope="session")
def artefacts_maker():
    return make_artefacts


@pytest.fixture(scope="session")
def full_artefacts() -> Artefacts:
    return make_full_artefacts()


@pytest.fixture(scope="session")
def full_artefacts_maker():
    return make_full_artefacts


@pytest.fixture(scope="session")
def samples_maker():
    return make_samples


@pytest.fixture(scope="session")
def library_builder(tmp_path_factory):
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
def library(library_builder) -> Path:
    """The library as it is installed."""
    return library_builder("-O3")


@pytest.fixture(params=["numpy", "compiled"])
def path_of_code(request, library, monkeypatch) -> str:
    """Run a test with numpy's loops, then with the compiled ones."""
    monkeypatch.setattr(native, "_library", native.load(library) if request.param == "compiled" else None)
    return request.param
