"""Sending never stops a process: over a link between two network namespaces, as `benchmarks/wire.py` makes it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hosts.namespaces import why_not
from ros_domain import own_domain

REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=f"no network of its own: {REASON}")
WIRE = Path(__file__).resolve().parents[2] / "benchmarks" / "wire.py"


def measured(*options: str) -> dict[str, Any]:
    with own_domain() as domain:
        run = subprocess.run(
            [sys.executable, str(WIRE), *options],
            env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(run.stdout)


def test_two_batches_back_to_back_are_handed_over_before_the_first_has_left_and_hellos_go_on() -> None:
    said = measured("--rate", "8", "--megabytes", "2", "--batches", "2")
    assert said["acknowledged"] and said["batches_heard"] == 2
    # By itself rmw_fastrtps has sent both by then, all but what is in the socket's buffer.
    assert said["left_at_return_bytes"] < said["payload_bytes"] / 2
    # None was heard while `publish()` held Python's lock.
    assert said["hellos_before_the_first"] >= 3
