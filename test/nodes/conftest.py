"""A ROS context of its own for tests that need a node."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import rclpy
from other_nodes import Others

# No message of a test leaves this computer.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
# Below those of the flights.
_DOMAINS = range(10, 60)


@pytest.fixture(scope="session")
def domain() -> Iterator[int]:
    """A DDS domain that no other run of the tests on this computer uses meanwhile."""
    with ExitStack() as stack:
        for number in _DOMAINS:
            path = Path(tempfile.gettempdir()) / f"satllm_ros_test_domain_{number}.lock"
            lock = stack.enter_context(path.open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield number
            return
        raise RuntimeError("every DDS domain for tests is taken")


@pytest.fixture
def context(domain: int) -> Iterator[rclpy.Context]:
    made = rclpy.Context()
    rclpy.init(context=made, domain_id=domain)
    yield made
    made.try_shutdown()


@pytest.fixture
def others(domain: int, tmp_path: Path) -> Iterator[Others]:
    """The rest of a graph, for a process under test that works in this folder."""
    made = Others(domain, tmp_path)
    yield made
    made.close()
