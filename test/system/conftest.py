"""Fixtures of the system tests: material for tiny flights."""

import os

import pytest
from tiny_material import Material, save_material

# No message of a test leaves this computer.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return save_material(tmp_path_factory.mktemp("material"), tiles=48)
