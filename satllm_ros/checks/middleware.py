"""Settings of ROS and of the middleware that come from environment variables."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

from satllm_ros.checks.check import Finding, Surroundings, ok, refuse, warn
from satllm_ros.middleware.shared_memory import FIRST_PORT, PORTS_OF_A_DOMAIN
from satllm_ros.middleware.transports import (
    OTHER_PROFILE_VARIABLE,
    PROFILE_VARIABLE,
    SEGMENT_BYTES,
    TRANSPORTS_VARIABLE,
    free_bytes,
    is_chosen_by_user,
    is_fast_dds,
)

# The ports of the next one would lie beyond 65,535.
MAX_DOMAIN = 232
DISCOVERY_RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")
_HOST = r"[A-Za-z0-9_.\-]+|\[?[0-9A-Fa-f:.]+(%\w+)?\]?"
_PEERS = re.compile(rf"(({_HOST})(;|$))*\Z")
_SERVER = rf"(TCPv[46]:|UDPv[46]:)?(\[[^\[\];]+\]|{_HOST})(:\d{{1,5}})?"
_SERVERS = re.compile(rf"(({_SERVER})?(;|$))*\Z")


def domain(around: Surroundings) -> Finding:
    """`ROS_DOMAIN_ID`: rcl takes a number that is no number for 0, or dies of it; its ports must be UDP's."""
    text = around.environ.get("ROS_DOMAIN_ID", "")
    if not text:
        return ok("ROS_DOMAIN_ID is not set: domain 0")
    # rcl would read 010 as 8, and 5abc as 5.
    if not re.fullmatch(r"0|[1-9][0-9]*", text):
        return refuse(f"ROS_DOMAIN_ID is {text!r}, which is not a whole number")
    number = int(text)
    if number > MAX_DOMAIN:
        return refuse(f"ROS_DOMAIN_ID is {text}, whose UDP ports would be higher than 65535")
    first = FIRST_PORT + PORTS_OF_A_DOMAIN * number
    given = _ports_given_to_any(around.port_range_file)
    if given is not None and given[0] <= first + PORTS_OF_A_DOMAIN - 1 and first <= given[1]:
        return warn(
            f"ROS_DOMAIN_ID is {text}, whose ports from {first} on are among those this computer gives to any program "
            f"({given[0]} to {given[1]})"
        )
    return ok(f"domain {number}")


def _ports_given_to_any(file: Path) -> tuple[int, int] | None:
    """First and last port that the kernel gives to connections that go out; None where it does not say."""
    try:
        low, high = file.read_text().split()
        return int(low), int(high)
    except (OSError, ValueError):
        return None


def middleware(around: Surroundings) -> Finding:
    """`RMW_IMPLEMENTATION`: of one that is not installed, rclpy ends the process without a word to Python."""
    wanted = around.environ.get("RMW_IMPLEMENTATION", "")
    installed = _installed_middlewares(around)
    if not wanted:
        return ok("RMW_IMPLEMENTATION is not set: the distribution's default")
    if installed and wanted not in installed:
        return refuse(
            f"RMW_IMPLEMENTATION is {wanted!r}, which is not installed; installed is {', '.join(sorted(installed))}"
        )
    if not is_fast_dds(around.environ):
        return warn(f"RMW_IMPLEMENTATION is {wanted}, with which this graph has not been tried")
    return ok(wanted)


def _installed_middlewares(around: Surroundings) -> set[str]:
    """Names in the index of what is installed; empty where there is no index."""
    prefixes = [p for p in around.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    found: set[str] = set()
    for prefix in [*prefixes, sys.prefix]:
        index = Path(prefix) / "share" / "ament_index" / "resource_index" / "rmw_typesupport"
        if index.is_dir():
            found |= {entry.name for entry in index.iterdir()}
    return found - {"rmw_implementation"}


def discovery_range(around: Surroundings) -> Finding:
    """`ROS_AUTOMATIC_DISCOVERY_RANGE` and the older `ROS_LOCALHOST_ONLY`."""
    wanted = around.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    only = around.environ.get("ROS_LOCALHOST_ONLY", "")
    if only not in ("", "0", "1"):
        return refuse(f"ROS_LOCALHOST_ONLY is {only!r}; allowed are 0 and 1")
    if wanted and wanted not in DISCOVERY_RANGES:
        return refuse(
            f"ROS_AUTOMATIC_DISCOVERY_RANGE is {wanted!r}; allowed are {', '.join(DISCOVERY_RANGES)}, in capitals"
        )
    if wanted == "OFF" and only != "1":
        return refuse("ROS_AUTOMATIC_DISCOVERY_RANGE is OFF, with which no process finds another")
    if wanted == "LOCALHOST" or only == "1":
        return ok("processes are found on this computer only")
    return ok(f"processes are found in range {wanted}" if wanted else "processes are found on the whole subnet")


def static_peers(around: Surroundings) -> Finding:
    """`ROS_STATIC_PEERS`: computers that are asked although multicast does not reach them."""
    peers = around.environ.get("ROS_STATIC_PEERS", "")
    if not _PEERS.match(peers):
        return refuse(f"ROS_STATIC_PEERS is {peers!r}, which is no list of hosts")
    return ok(f"ROS_STATIC_PEERS is {peers}" if peers else "ROS_STATIC_PEERS is not set")


def discovery_server(around: Surroundings) -> Finding:
    """`ROS_DISCOVERY_SERVER`: with it, nobody is found unless that server runs."""
    servers = around.environ.get("ROS_DISCOVERY_SERVER", "")
    if not servers:
        return ok("ROS_DISCOVERY_SERVER is not set")
    ports = [int(port) for port in re.findall(r":(\d{1,5})(?:;|$)", servers)]
    if not _SERVERS.match(servers) or any(not 0 < port < 65536 for port in ports):
        return refuse(f"ROS_DISCOVERY_SERVER is {servers!r}, which is no list of servers")
    return warn(f"processes find each other through ROS_DISCOVERY_SERVER {servers} only")


def profile(around: Surroundings) -> Finding:
    """A Fast DDS profile of the user's own, which Fast DDS itself would pass over if it cannot be read."""
    path = around.environ.get(PROFILE_VARIABLE, "")
    if not is_fast_dds(around.environ):
        return ok("Fast DDS is not used")
    if not path:
        other = around.environ.get(OTHER_PROFILE_VARIABLE, "")
        if other:
            return warn(f"{OTHER_PROFILE_VARIABLE} is set, but this version of Fast DDS reads {PROFILE_VARIABLE}")
        return ok("none of the user's own")
    try:
        ElementTree.parse(path)
    except OSError as error:
        return refuse(f"{PROFILE_VARIABLE} names {path}, which cannot be read ({error.strerror})")
    except ElementTree.ParseError as error:
        return refuse(f"{PROFILE_VARIABLE} names {path}, which is not XML ({error})")
    return ok(f"{PROFILE_VARIABLE} names {path}")


def shared_memory(around: Surroundings) -> Finding:
    """Room for one segment a process; without, all fly over UDP, which costs speed only."""
    if not is_fast_dds(around.environ):
        return ok("Fast DDS is not used")
    if is_chosen_by_user(around.environ):
        return ok(f"transports are chosen by {PROFILE_VARIABLE} or {TRANSPORTS_VARIABLE}")
    free, needed = free_bytes(around.shared_memory), around.processes * SEGMENT_BYTES
    word = "process needs" if around.processes == 1 else "processes need"
    sentence = f"{around.shared_memory} has {free / 1e6:,.0f} MB free, {around.processes} {word} {needed / 1e6:,.0f} MB"
    return ok(sentence) if free >= needed else warn(f"{sentence}, so messages go over UDP, which is slower")
