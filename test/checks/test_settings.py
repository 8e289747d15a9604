"""Environment variables of ROS and of the middleware: what each value is judged to be."""

import os
from pathlib import Path

import pytest

from satllm_ros.checks import middleware
from satllm_ros.checks.check import Finding, Level, Surroundings
from satllm_ros.middleware.transports import OTHER_PROFILE_VARIABLE, PROFILE_VARIABLE, SEGMENT_BYTES


def around(**environ: str) -> Surroundings:
    return Surroundings(environ, port_range_file=Path("/does/not/exist"))


@pytest.mark.parametrize("text", ["", "0", "7", "101", "232"])
def test_domains_that_fly(text: str) -> None:
    assert middleware.domain(around(ROS_DOMAIN_ID=text)).level is Level.OK


# rcl dies of the first, takes 5 for the second, 8 for the third, and 0 for the fourth.
@pytest.mark.parametrize("text", ["abc", "5abc", "010", "-1", " 7", "0x10", "1.0", "٣"])
def test_domains_that_are_no_numbers(text: str) -> None:
    finding = middleware.domain(around(ROS_DOMAIN_ID=text))
    assert finding.level is Level.REFUSE and repr(text) in finding.found


@pytest.mark.parametrize("text", ["233", "240", "99999999999999999999"])
def test_domains_whose_ports_do_not_exist(text: str) -> None:
    finding = middleware.domain(around(ROS_DOMAIN_ID=text))
    assert finding.level is Level.REFUSE and "65535" in finding.found


# Ports 7400 + 250 x domain and the 249 after it.
@pytest.mark.parametrize(("number", "level"), [(100, Level.OK), (101, Level.WARN), (214, Level.WARN), (215, Level.OK)])
def test_domains_whose_ports_any_program_may_get(tmp_path: Path, number: int, level: Level) -> None:
    ports = tmp_path / "range"
    ports.write_text("32700\t60999\n")
    assert middleware.domain(Surroundings({"ROS_DOMAIN_ID": str(number)}, port_range_file=ports)).level is level


def installation(folder: Path, *names: str) -> str:
    index = folder / "share" / "ament_index" / "resource_index" / "rmw_typesupport"
    index.mkdir(parents=True)
    for name in (*names, "rmw_implementation"):
        (index / name).touch()
    return str(folder)


def judged(prefix: str, name: str, monkeypatch: pytest.MonkeyPatch) -> Finding:
    monkeypatch.setattr("sys.prefix", "/does/not/exist")
    return middleware.middleware(around(AMENT_PREFIX_PATH=f"/elsewhere{os.pathsep}{prefix}", RMW_IMPLEMENTATION=name))


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("", Level.OK),
        ("rmw_fastrtps_cpp", Level.OK),
        ("rmw_cyclonedds_cpp", Level.WARN),
        ("rmw_implementation", Level.REFUSE),
        ("rmw_zenoh_cpp", Level.REFUSE),
    ],
)
def test_middleware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, level: Level) -> None:
    finding = judged(installation(tmp_path, "rmw_fastrtps_cpp", "rmw_cyclonedds_cpp"), name, monkeypatch)
    assert finding.level is level
    if level is Level.REFUSE:
        assert name in finding.found and finding.found.endswith("installed is rmw_cyclonedds_cpp, rmw_fastrtps_cpp")


def test_middleware_where_nothing_is_indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(str(tmp_path), "rmw_fastrtps_cpp", monkeypatch).level is Level.OK


@pytest.mark.parametrize(
    ("environ", "level"),
    [
        ({}, Level.OK),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, Level.OK),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, Level.OK),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "localhost"}, Level.REFUSE),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, Level.REFUSE),
        ({"ROS_LOCALHOST_ONLY": "1"}, Level.OK),
        ({"ROS_LOCALHOST_ONLY": "0"}, Level.OK),
        ({"ROS_LOCALHOST_ONLY": "yes"}, Level.REFUSE),
    ],
)
def test_discovery_range(environ: dict[str, str], level: Level) -> None:
    finding = middleware.discovery_range(around(**environ))
    assert finding.level is level
    if level is Level.REFUSE:
        assert all(name in finding.found and value in finding.found for name, value in environ.items())


@pytest.mark.parametrize(
    ("peers", "level"),
    [
        ("", Level.OK),
        ("ground", Level.OK),
        ("10.0.0.1;sat-2.local;fe80::1%eth0", Level.OK),
        ("10.0.0.1, 10.0.0.2", Level.REFUSE),
        ("10.0.0.1 10.0.0.2", Level.REFUSE),
    ],
)
def test_static_peers(peers: str, level: Level) -> None:
    assert middleware.static_peers(around(ROS_STATIC_PEERS=peers)).level is level


@pytest.mark.parametrize(
    ("servers", "level"),
    [
        ("", Level.OK),
        ("127.0.0.1:11811", Level.WARN),
        (";10.0.0.2:11811", Level.WARN),
        ("TCPv4:[10.0.0.2]:42100;server", Level.WARN),
        ("10.0.0.2:99999", Level.REFUSE),
        ("10.0.0.2:port", Level.REFUSE),
        ("a b", Level.REFUSE),
    ],
)
def test_discovery_server(servers: str, level: Level) -> None:
    assert middleware.discovery_server(around(ROS_DISCOVERY_SERVER=servers)).level is level


def test_profile_of_the_users_own(tmp_path: Path) -> None:
    good, broken = tmp_path / "good.xml", tmp_path / "broken.xml"
    good.write_text('<?xml version="1.0"?><dds/>')
    broken.write_text("<dds>")
    absent = tmp_path / "absent.xml"
    levels = {path: middleware.profile(around(**{PROFILE_VARIABLE: str(path)})) for path in (good, broken, absent)}
    assert [finding.level for finding in levels.values()] == [Level.OK, Level.REFUSE, Level.REFUSE]
    assert "not XML" in levels[broken].found and "No such file" in levels[absent].found
    assert middleware.profile(around(**{OTHER_PROFILE_VARIABLE: str(good)})).level is Level.WARN
    assert middleware.profile(around(RMW_IMPLEMENTATION="rmw_cyclonedds_cpp", **{PROFILE_VARIABLE: "no"})).level is (
        Level.OK
    )


def test_shared_memory_is_counted_for_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "free_bytes", lambda _: 3 * SEGMENT_BYTES)
    for processes, level in ((3, Level.OK), (4, Level.WARN)):
        finding = middleware.shared_memory(Surroundings({}, processes=processes))
        assert finding.level is level
    assert finding.found.endswith("messages go over UDP, which is slower")
    for chosen in ({PROFILE_VARIABLE: "own.xml"}, {"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"}):
        assert middleware.shared_memory(Surroundings(chosen, processes=4)).level is Level.OK
