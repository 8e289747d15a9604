"""Shared memory where all processes of a graph have room in it, else UDP alone."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from satllm_ros.middleware import transports as t

SHARE = Path(__file__).resolve().parents[2]


def chosen(environ: dict[str, str], free: int, processes: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(t, "free_bytes", lambda _: free)
    return t.transports(environ, SHARE, processes=processes)


@pytest.mark.parametrize(
    ("segments", "processes", "name"), [(3, 3, "fastdds.xml"), (2, 3, "fastdds_udp.xml"), (0, 1, "fastdds_udp.xml")]
)
def test_all_or_none(segments: int, processes: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = chosen({}, segments * t.SEGMENT_BYTES, processes, monkeypatch)
    assert variables == {t.PROFILE_VARIABLE: str(SHARE / "config" / name)}


@pytest.mark.parametrize("variable", [t.PROFILE_VARIABLE, t.TRANSPORTS_VARIABLE])
def test_the_users_choice_stays(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen({variable: ""}, 0, 1, monkeypatch) == {}


@pytest.mark.parametrize(
    ("distribution", "rclpy_version", "name"),
    [
        ("jazzy", "", "FASTRTPS"),
        ("humble", "9.1.2", "FASTRTPS"),
        ("kilted", "7.1.2", "FASTDDS"),
        ("", "7.1.2", "FASTRTPS"),
        ("", "9.1.2", "FASTDDS"),
        ("", "", "FASTDDS"),
        ("", "unknown", "FASTDDS"),
    ],
)
def test_the_profile_is_named_to_the_version_of_fast_dds_that_is_there(
    distribution: str, rclpy_version: str, name: str
) -> None:
    read, other = t.profile_variables(distribution, rclpy_version)
    assert read == f"{name}_DEFAULT_PROFILES_FILE" and {read, other} == {
        "FASTDDS_DEFAULT_PROFILES_FILE",
        "FASTRTPS_DEFAULT_PROFILES_FILE",
    }


def test_no_room_where_nothing_is_or_nothing_may_be_written(tmp_path: Path) -> None:
    assert t.free_bytes(tmp_path) > 0
    assert t.free_bytes(tmp_path / "absent") == 0


def test_profiles_hold_what_their_names_say() -> None:
    kinds = {}
    for name in ("fastdds.xml", "fastdds_udp.xml"):
        root = ElementTree.parse(SHARE / "config" / name).getroot()
        kinds[name] = {element.text for element in root.iter() if element.tag.endswith("}type")}
    assert kinds == {"fastdds.xml": {"SHM", "UDPv4"}, "fastdds_udp.xml": {"UDPv4"}}


def test_a_segment_is_as_large_as_the_profile_makes_it() -> None:
    (size,) = re.findall(r"<segment_size>(\d+)<", (SHARE / "config" / "fastdds.xml").read_text())
    assert int(size) < t.SEGMENT_BYTES < 1.1 * int(size)
