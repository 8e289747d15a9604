"""Hosts made of namespaces: clocks and addresses of their own, lines that end in each of their ways, frames counted."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hosts.namespaces import OUTER, why_not
from hosts.topology import End, tbf
from hosts.trial import DELAY_S

REASON = why_not()
needs_hosts = pytest.mark.skipif(bool(REASON), reason=f"no hosts of their own: {REASON}")


@pytest.fixture(scope="module")
def story() -> dict[str, Any]:
    """What two hosts on a network heard of each other."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    told = subprocess.run(
        [*OUTER, sys.executable, "-m", "hosts.trial"], capture_output=True, text=True, env=environment, check=False
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


@needs_hosts
def test_clocks_of_hosts_are_apart(story: dict[str, Any]) -> None:
    first_s, second_s = story["clocks"]
    assert first_s > 86_400 and second_s > 86_400


@needs_hosts
def test_a_relay_delays_and_passes_datagrams_that_are_cut_into_frames(story: dict[str, Any]) -> None:
    heard, seconds = story["large"]
    assert heard == 30_000 and seconds > 2 * DELAY_S


@needs_hosts
@pytest.mark.parametrize(
    ("end", "is_heard"),
    [(End.FRAMES_DROPPED, False), (End.CARRIER_LOST, False), (End.NOTHING_OUT, False), (End.NOTHING_IN, True)],
)
def test_a_line_ends_and_comes_back(story: dict[str, Any], end: End, is_heard: bool) -> None:
    heard, answered = story[end.value]
    assert (heard > 0) is is_heard and answered == 0


@needs_hosts
def test_a_host_is_heard_under_another_address(story: dict[str, Any]) -> None:
    assert story["moved"] == 40


@needs_hosts
def test_every_byte_of_a_host_is_counted_once(story: dict[str, Any]) -> None:
    # The kernel counted the frames that came before the meter listened, too.
    assert 30_000 < story["counted"] <= story["kernel"] <= story["counted"] + 2_000


@pytest.mark.parametrize("rate_bps", [1.0e6, 8.0e6, 500.0e6])
def test_a_queue_holds_the_time_of_its_line(rate_bps: float) -> None:
    words = tbf(rate_bps)
    held = int(words[words.index("limit") + 1])
    assert held >= 100_000 and held >= 0.4 * rate_bps / 8 and words[2] == f"{rate_bps:.0f}bit"
