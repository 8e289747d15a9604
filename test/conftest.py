"""Holds for every test; makes the modules of this folder importable by all rooms."""

import os
from pathlib import Path

import pytest

# No message of a test leaves this computer.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

_ROOMS_THAT_FLY = ("nodes", "system")


def _flies(item: pytest.Item) -> bool:
    return item.path.relative_to(Path(__file__).parent).parts[0] in _ROOMS_THAT_FLY


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Flights come first, since they take longest."""
    items.sort(key=_flies, reverse=True)
