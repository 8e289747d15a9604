"""Holds for every test; makes the modules of this folder importable by all rooms."""

import os
from pathlib import Path

import pytest

# No message of a test leaves this computer.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

_ROOMS_THAT_FLY = ("nodes", "system")


# Before the workers look for groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep every file that talks over DDS in one worker: its tests share a flight, and what one has done to it.

    These files come first, since they take longest.
    """
    here = Path(__file__).parent

    def flies(item: pytest.Item) -> bool:
        return item.path.relative_to(here).parts[0] in _ROOMS_THAT_FLY

    for item in filter(flies, items):
        item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=flies, reverse=True)
