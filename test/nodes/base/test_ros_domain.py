"""A test that leaves its context leaves no DDS participant behind in its process."""

import os
import re
from contextlib import suppress
from pathlib import Path

import rclpy
from ros_domain import leave

from satllm_ros.nodes.base.flight_node import FlightNode


def own_segments() -> set[str]:
    """Shared memory that this process owns: one segment a participant."""
    links = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            links.append(os.readlink(link))
    return {link for link in links if re.fullmatch(r"/dev/shm/fast(dds|rtps)_[0-9a-f]{16}_el", link)}


def test_a_context_that_is_left_ends_its_participant(domain: int) -> None:
    before = own_segments()
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    for name in ("first", "second"):
        FlightNode(name, context=context)
    assert len(own_segments() - before) == 1
    leave(context)
    assert own_segments() == before
