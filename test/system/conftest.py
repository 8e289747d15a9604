"""Fixtures of the system tests: material for tiny flights."""

import pytest
from chaos.hangar import Hangar
from tiny_material import Material, save_material


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return save_material(tmp_path_factory.mktemp("material"), tiles=48)


@pytest.fixture(scope="module")
def hangar(tmp_path_factory: pytest.TempPathFactory) -> Hangar:
    return Hangar(tmp_path_factory.mktemp("hangar"))
