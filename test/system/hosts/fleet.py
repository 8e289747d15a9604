"""The processes of one constellation, a host each, started by `satllm up --only`."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from hosts.namespaces import Host

_END_PATIENCE_S = 30.0
# Discovery may leave a host here: the network has no way out.
_ENVIRONMENT = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "ROS_DOMAIN_ID": "0"}
_NOT_HANDED_ON = (
    *("FASTDDS_BUILTIN_TRANSPORTS", "FASTDDS_DEFAULT_PROFILES_FILE", "ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER"),
)
_TESTS = Path(__file__).resolve().parents[2]
# What the processes of a host leave in its run folder: the ground's predictions, and what `satllm up` printed.
STORE, TERMINAL = "predictions.sqlite", "terminal.txt"


@dataclass(frozen=True)
class Order:
    """What to fly: the command, the constellation file, satellites, and where run folders are, one a host.

    `namespace` is the root of the graph, and stands before the names of its hosts.
    """

    satllm: str
    config: str
    folder: str
    satellites: tuple[str, ...]
    namespace: str = ""

    @property
    def processes(self) -> tuple[str, ...]:
        return (*self.satellites, "planner", "ground", "sensing")

    def host(self, process: str) -> str:
        """Name of the host of a process."""
        return f"{self.namespace}-{process}" if self.namespace else process


class Fleet:
    """One constellation in flight; `discovery` are the variables by which its processes find each other."""

    def __init__(self, order: Order, hosts: Mapping[str, Host], discovery: Mapping[str, str] | None = None) -> None:
        self._order, self._hosts, self._discovery = order, hosts, discovery or {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start_all(self) -> None:
        for process in self._order.processes:
            self.start(process)

    def start(self, process: str) -> None:
        """Start a process on its host; a second time in the same run folder."""
        folder = self._folder(process)
        folder.mkdir(parents=True, exist_ok=True)
        order = self._order
        words = [order.satllm, "up", order.config, "--only", process, "--run", str(folder), "--reference", "none"]
        if order.namespace:
            words += ["--namespace", order.namespace]
        host = self._hosts[order.host(process)]
        environment = environment_of_a_host(os.environ) | self._discovery
        self._running[process] = host.popen(words, folder / TERMINAL, environment)

    def kill(self, process: str) -> None:
        """As a power cut: the command and the process below it, which have no exit code then."""
        host = self._hosts[self._order.host(process)]
        for pid in _pids_of_network(host):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._running.pop(process).wait()

    def exit_code(self, process: str) -> int | None:
        """Of a process that has ended by itself; else None."""
        running = self._running.get(process)
        return running.poll() if running is not None else None

    def end(self) -> None:
        """Ctrl-C for all, and what is stronger for those that do not end by it."""
        for number in (signal.SIGINT, signal.SIGKILL):
            for process in self._running.values():
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            deadline_s = time.monotonic() + _END_PATIENCE_S
            for process in self._running.values():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline_s - time.monotonic()))

    def tiles_down(self) -> int:
        """Tiles in the ground's store; 0 while there is none."""
        path = self._folder("ground") / STORE
        if not path.exists():
            return 0
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                return database.execute("SELECT COUNT(*) FROM tiles").fetchone()[0]
        except sqlite3.OperationalError:
            # It is just being made.
            return 0

    def _folder(self, process: str) -> Path:
        return Path(self._order.folder) / process


def environment_of_a_host(inherited: Mapping[str, str]) -> dict[str, str]:
    """What processes of the graph get: as it was inherited, without choices of middleware and without these tests."""
    kept = {name: value for name, value in inherited.items() if name not in _NOT_HANDED_ON}
    path = [entry for entry in kept.pop("PYTHONPATH", "").split(os.pathsep) if entry]
    if others := [entry for entry in path if not Path(entry).is_relative_to(_TESTS)]:
        kept["PYTHONPATH"] = os.pathsep.join(others)
    return kept | _ENVIRONMENT


def _pids_of_network(host: Host) -> list[int]:
    """Processes in the host's network, but for the one that holds it."""
    network = os.readlink(f"/proc/{host.pid}/ns/net")
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(entry.name) not in host.holders and os.readlink(entry / "ns" / "net") == network:
                found.append(int(entry.name))
    return found
