"""How the processes of a flight find each other: by multicast, by addresses, or by a server on a host of its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from hosts.scenario import Discovery, both_ways
from hosts.topology import Network

from satllm_ros.middleware.transports import IS_VERSION_2

_PROGRAM, _PORT = "fast-discovery-server", 11811
# As `fastdds discovery` calls it, which needs psutil that the wheels do not bring. Version 2 serves without a word.
_SERVE = ["-i", "0"] if IS_VERSION_2 else ["42"]


def directory(discovery: Discovery, network: Network) -> dict[str, str]:
    """Variables for all processes of the network, which carries multicast only where it is to be used.

    Raises
    ------
    RuntimeError
        If there is no program to serve with.
    """
    if discovery is Discovery.MULTICAST:
        return {}
    found_by = {"ROS_STATIC_PEERS": ";".join(line.address for line in network.lines.values())}
    if discovery is Discovery.SERVER:
        found_by = {"ROS_DISCOVERY_SERVER": f"{_serve(network)}:{_PORT}"}
    for line in network.lines.values():
        line.keep_multicast_out()
    return found_by


def _serve(network: Network) -> str:
    """Start a server on another host; its address. It ends with the namespaces."""
    program = shutil.which(_PROGRAM, path=os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ["PATH"]]))
    if program is None:
        raise RuntimeError(f"{_PROGRAM} is not installed; it comes with Fast DDS")
    host = network.add("directory", both_ways(20))
    address = network.lines["directory"].address
    log = Path(tempfile.mkdtemp()) / "directory.txt"
    host.popen([program, *_SERVE, "-l", address, "-p", str(_PORT)], log, os.environ)
    return address
