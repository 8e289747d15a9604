"""The Fast DDS that is here reads the profiles that are made for it: it refuses a whole file for one unknown name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from satllm_ros.links.link_queue import LinkRates
from satllm_ros.middleware.profile import QOS_FROM_XML_VARIABLE, middleware_profile, routes_of
from satllm_ros.middleware.transports import OTHER_PROFILE_VARIABLE, PROFILE_VARIABLE, TRANSPORTS_VARIABLE

NODE = "import rclpy; rclpy.init(); rclpy.create_node('reader'); rclpy.shutdown()"
CHOSEN = (PROFILE_VARIABLE, OTHER_PROFILE_VARIABLE, TRANSPORTS_VARIABLE)


def words_on(profile: Path, domain: int) -> str:
    """What a process says that reads this profile."""
    environment = {name: value for name, value in os.environ.items() if name not in CHOSEN}
    environment |= {PROFILE_VARIABLE: str(profile), QOS_FROM_XML_VARIABLE: "1", "ROS_DOMAIN_ID": str(domain)}
    ended = subprocess.run(
        [sys.executable, "-c", NODE], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("transports", [("udp",), ("shm", "udp"), None])
@pytest.mark.parametrize("process", ["sensing", "sat1", "ground"])
def test_a_made_profile_is_read_without_a_word(
    tmp_path: Path, domain: int, process: str, transports: tuple[str, ...] | None
) -> None:
    profile = tmp_path / "made.xml"
    routes = routes_of(
        process, ["sat1", "sat2"], lambda sender, receiver: LinkRates(8e6, 0.3 if receiver == "sat2" else 0.0)
    )
    profile.write_text(middleware_profile(routes, transports=transports))
    assert "XML" not in words_on(profile, domain)


def test_what_cannot_be_read_is_told(tmp_path: Path, domain: int) -> None:
    """The test above sees a refusal."""
    profile = tmp_path / "made.xml"
    profile.write_text(middleware_profile([]).replace("historyMemoryPolicy", "history"))
    assert "XML" in words_on(profile, domain)
