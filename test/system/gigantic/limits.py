"""Hard memory limits put on running processes from outside: a cgroup for each where one can be made, else RLIMIT_DATA.

A cgroup counts everything, files that were read included; of these the system gives back what it needs. RLIMIT_DATA
counts what a process has asked for and may write to, not what it shares with others or maps from files.
"""

import os
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ROOT = Path("/sys/fs/cgroup")
SETTLE_S = 10.0


class Limit(Protocol):
    """A limit that holds for one process."""

    def peak_bytes(self) -> int:
        """Most that was counted at any time; this may be called until the limit is taken off."""

    def kills(self) -> int:
        """How often the system has ended a process for it."""


class Limits(Protocol):
    """Puts the same limit on any number of processes."""

    name: str

    def hold(self, pid: int, name: str) -> Limit:
        """Limit a process; `name` tells it from others."""


@dataclass(frozen=True)
class Files:
    """What the files of a memory cgroup are called; `settings` are written when it is made."""

    parent: Path
    settings: tuple[str, ...]
    peak: str
    events: str


class CgroupLimit:
    """One cgroup with one process in it."""

    def __init__(self, folder: Path, files: Files) -> None:
        self._folder, self._files = folder, files

    def peak_bytes(self) -> int:
        return int((self._folder / self._files.peak).read_text())

    def kills(self) -> int:
        return count_kills((self._folder / self._files.events).read_text())


class Cgroups:
    """Cgroups below the one this process is in, so that what holds for it goes on holding for all."""

    def __init__(self, files: Files, limit_bytes: int, version: int) -> None:
        self.name = f"memory cgroup (v{version}) of each process"
        self._files, self._limit_bytes = files, limit_bytes
        self._made: list[Path] = []

    def make(self, name: str) -> CgroupLimit:
        """An empty cgroup with the limit."""
        folder = self._files.parent / f"satllm_{os.getpid()}_{name}"
        folder.mkdir()
        self._made.append(folder)
        limit, *others = self._files.settings
        (folder / limit).write_text(str(self._limit_bytes))
        for other in others:
            # Swap, which a kernel may not count.
            with suppress(FileNotFoundError):
                (folder / other).write_text("0" if "swap" in other else str(self._limit_bytes))
        return CgroupLimit(folder, self._files)

    def hold(self, pid: int, name: str) -> CgroupLimit:
        made = self.make(name)
        (self._made[-1] / "cgroup.procs").write_text(str(pid))
        return made

    def remove(self) -> None:
        """Take them away; a process that was just killed may be in one for an instant."""
        deadline_s = time.monotonic() + SETTLE_S
        while self._made:
            try:
                self._made[-1].rmdir()
            except OSError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.05)
            else:
                self._made.pop()


class DataLimit:
    """RLIMIT_DATA of one process, which is refused memory rather than ended."""

    def __init__(self, pid: int, limit_bytes: int) -> None:
        self._pid, self._peak_bytes = pid, 0
        resource.prlimit(pid, resource.RLIMIT_DATA, (limit_bytes, limit_bytes))

    def peak_bytes(self) -> int:
        with suppress(OSError):
            self._peak_bytes = max(self._peak_bytes, status_bytes(self._pid).get("VmData", 0))
        return self._peak_bytes

    def kills(self) -> int:
        return 0


class DataLimits:
    """RLIMIT_DATA for each process."""

    name = "RLIMIT_DATA of each process (what it allocates; neither shared memory nor files)"

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes

    def hold(self, pid: int, name: str) -> DataLimit:
        return DataLimit(pid, self._limit_bytes)


def count_kills(events: str) -> int:
    """Processes killed for want of memory, from `memory.oom_control` (v1) or `memory.events` (v2)."""
    counts = dict(line.split() for line in events.splitlines())
    return int(counts["oom_kill"])


def status_bytes(pid: int) -> dict[str, int]:
    """Sizes in /proc/<pid>/status [byte]; empty for a process that has ended and not been waited for."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0].rstrip(":"): 1024 * int(words[1]) for words in lines if words[-1] == "kB"}


def cgroup_paths(memberships: str) -> Mapping[int, str]:
    """Path of the memory cgroup by version, 1 or 2, from /proc/self/cgroup."""
    paths = {}
    for line in memberships.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            paths[2] = path
        elif "memory" in controllers.split(","):
            paths[1] = path
    return paths


@contextmanager
def limits_of(limit_bytes: int) -> Iterator[Limits]:
    """The hardest limits there are here; taken off with the block, when no limited process may be left."""
    groups = _cgroups(limit_bytes)
    if groups is None:
        yield DataLimits(limit_bytes)
        return
    try:
        yield groups
    finally:
        groups.remove()


def _cgroups(limit_bytes: int) -> Cgroups | None:
    paths = cgroup_paths(Path("/proc/self/cgroup").read_text())
    found = []
    if 1 in paths:
        settings = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
        parent = ROOT / "memory" / paths[1].lstrip("/")
        found.append((1, Files(parent, settings, "memory.max_usage_in_bytes", "memory.oom_control")))
    if 2 in paths:
        parent = ROOT / paths[2].lstrip("/")
        found.append((2, Files(parent, ("memory.max", "memory.swap.max"), "memory.peak", "memory.events")))
    for version, files in found:
        groups = Cgroups(files, limit_bytes, version)
        # Made by whoever may, where memory is counted: tried, since nothing says so beforehand.
        try:
            groups.make("trial").peak_bytes()
        except (OSError, ValueError):
            continue
        else:
            return groups
        finally:
            with suppress(OSError):
                groups.remove()
    return None
