"""A ROS context of its own for tests that need a node."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy
from other_nodes import Others
from ros_domain import free_what_was_left, leave, own_domain


@pytest.fixture(scope="session")
def domain() -> Iterator[int]:
    with own_domain() as number:
        yield number


@pytest.fixture
def context(domain: int) -> Iterator[rclpy.Context]:
    made = rclpy.Context()
    rclpy.init(context=made, domain_id=domain)
    yield made
    leave(made)


@pytest.fixture
def others(domain: int, tmp_path: Path) -> Iterator[Others]:
    """The rest of a graph, for a process under test that works in this folder."""
    made = Others(domain, tmp_path)
    yield made
    made.close()


def pytest_runtest_logfinish() -> None:
    free_what_was_left()
