"""A ROS context of its own for tests that need a node."""

import os
from collections.abc import Iterator

import pytest
import rclpy

# No message of a test leaves this computer.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


@pytest.fixture
def context() -> Iterator[rclpy.Context]:
    made = rclpy.Context()
    rclpy.init(context=made, domain_id=10 + os.getpid() % 30)
    yield made
    made.try_shutdown()
