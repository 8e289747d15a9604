"""Holds for every test; makes the modules of this folder importable by all rooms."""

import os
from pathlib import Path

import pytest

# No message of a test leaves this computer.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

_ROOMS_THAT_FLY = ("nodes", "system")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what talks over DDS in one worker, one after the other: several graphs at once would starve one another.

    It comes first, since it takes longest.
    """
    here = Path(__file__).parent

    def flies(item: pytest.Item) -> bool:
        return item.path.relative_to(here).parts[0] in _ROOMS_THAT_FLY

    for item in filter(flies, items):
        item.add_marker(pytest.mark.xdist_group("dds"))
    items.sort(key=flies, reverse=True)
