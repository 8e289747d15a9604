"""Where torch must be installed."""

from dataclasses import replace
from pathlib import Path

import pytest

from satllm_ros.constellation.file import Constellation, load_constellation
from satllm_ros.constellation.libraries import needs_torch
from satllm_ros.model.engines.choice import EngineRequest


@pytest.fixture
def constellation(shipped_path: Path, tmp_path: Path) -> Constellation:
    """The shipped one, with the place of a bundle."""
    return replace(load_constellation(shipped_path), bundle=str(tmp_path))


def with_engines(constellation: Constellation, *kinds: str) -> Constellation:
    satellites = (
        replace(satellite, engine=EngineRequest(kind))
        for satellite, kind in zip(constellation.satellites, kinds, strict=True)
    )
    return replace(constellation, satellites=tuple(satellites))


def test_only_where_a_satellite_with_that_engine_runs(constellation: Constellation) -> None:
    mixed = with_engines(constellation, "onnx", "torch", "onnx", "onnx")
    assert needs_torch(mixed, {"sat1", "sat2"}) and not needs_torch(mixed, {"sat1", "sat3", "planner"})


def test_left_open_it_depends_on_the_bundle(constellation: Constellation, tmp_path: Path) -> None:
    assert needs_torch(constellation, {"sat1"}) and not needs_torch(constellation, {"ground"})
    (tmp_path / "manifest.json").touch()
    assert not needs_torch(constellation, {"sat1"})
    assert needs_torch(with_engines(constellation, "auto", "torch", "auto", "auto"), {"sat1", "sat2"})


def test_another_node_computes_with_what_it_likes(constellation: Constellation) -> None:
    satellites = tuple(replace(satellite, external=True) for satellite in constellation.satellites)
    assert not needs_torch(replace(constellation, satellites=satellites), {"sat1", "sat2"})
