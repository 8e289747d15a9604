"""Removes shared memory that Fast DDS processes left behind when they were killed.

Fast DDS holds a lock file for as long as it owns a segment (`_el`) or listens on a port (`_el` or `_sl`). The kernel
frees the lock with the process: a lock that can be taken belongs to nobody. `fastdds shm clean` goes by the same rule.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
# Ports of a domain by the RTPS standard; Fast DDS takes further ones from the range below, whatever the domain.
FIRST_PORT, PORTS_OF_A_DOMAIN = 7400, 250
COMMON_PORTS = range(7000, FIRST_PORT)
# A lock file is made an instant before it is locked: younger ones are left alone.
LEAST_AGE_S = 2.0
# Up to Jazzy, whose Fast DDS is version 2, names begin with fastrtps.
_SEGMENT_LOCK = re.compile(r"(fast(?:dds|rtps)_[0-9a-f]{16})_el")
_PORT_FILE = re.compile(r"(?:sem\.)?(fast(?:dds|rtps)_port(\d{1,5}))(?:_el|_sl|_mutex)?")
_LOCKS = ("_el", "_sl")
_PORT = re.compile(r"fast(?:dds|rtps)_port\d+")
_IN_USE = re.compile(rf"(\d+) +/.*{_PORT.pattern}")


def remove_orphans(domain: int, directory: Path = SHARED_MEMORY, *, least_age_s: float = LEAST_AGE_S) -> list[str]:
    """Remove this user's segments of dead processes, and their ports in this domain that no living process has.

    Returns
    -------
    list of str
        Names of the removed files.
    """
    removed: list[str] = []
    for name in _names(directory):
        if found := _SEGMENT_LOCK.fullmatch(name):
            removed += _remove_segment(directory, found[1], least_age_s)
    return removed + _remove_ports(directory, domain, least_age_s)


def domain_of_environment() -> int:
    """Number of the ROS domain this process and its children are in."""
    text = os.environ.get("ROS_DOMAIN_ID", "")
    return int(text) if text.isdecimal() else 0


def _names(directory: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in directory.iterdir())
    except OSError:
        return []


def _remove_segment(directory: Path, segment: str, least_age_s: float) -> list[str]:
    lock = directory / f"{segment}_el"
    with _locked(lock) as is_ours:
        # The segment is made once its lock is held: where there is one, its owner is dead. Without one, it may be about
        # to come.
        if not is_ours or not ((directory / segment).exists() or _is_older(lock, least_age_s)):
            return []
        return _unlink(directory, segment, lock.name)


def _remove_ports(directory: Path, domain: int, least_age_s: float) -> list[str]:
    with ExitStack() as stack:
        left = {}
        for port, names in _ports(directory, domain).items():
            with ExitStack() as of_port:
                locks = [of_port.enter_context(_locked(directory / name)) for name in names if name.endswith(_LOCKS)]
                if all(locks) and all(_is_older(directory / name, least_age_s) for name in names):
                    left[port] = names
                    stack.push(of_port.pop_all())
        if not left:
            return []
        # Writers hold no lock, so nobody may have the rest open either. Looked at last, and with the locks held:
        # whoever began to use a port meanwhile has it open, or has made a file.
        used, now = _open_inodes(), _ports(directory, domain)
        removed: list[str] = []
        for port, names in left.items():
            data = [name for name in names if not name.endswith(_LOCKS)]
            if now.get(port) == names and not any(_inode(directory / name) in used for name in data):
                removed += _unlink(directory, *names)
        return removed


def _ports(directory: Path, domain: int) -> dict[str, list[str]]:
    """Names of the files of each port of a domain, or of none."""
    first = FIRST_PORT + PORTS_OF_A_DOMAIN * domain
    files: dict[str, list[str]] = {}
    for name in _names(directory):
        found = _PORT_FILE.fullmatch(name)
        if found and (first <= int(found[2]) < first + PORTS_OF_A_DOMAIN or int(found[2]) in COMMON_PORTS):
            files.setdefault(found[1], []).append(name)
    return files


def _open_inodes() -> set[int]:
    """Inodes of the files of ports that some process, as far as we may look, has open or mapped.

    Not their paths: other containers may see the same shared memory elsewhere, and ports of the same number in others.
    """
    used: set[int] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            used.update(int(inode) for inode in _IN_USE.findall((process / "maps").read_text()))
            for link in (process / "fd").iterdir():
                with suppress(OSError):
                    if _PORT.search(os.readlink(link)):
                        used.add(link.stat().st_ino)
    return used


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether the lock file could be locked; it stays so for the length of the block."""
    try:
        file = path.open("rb")
    except OSError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _is_older(path: Path, least_age_s: float) -> bool:
    # The clock of the files is the system's.
    try:
        return time.time() - path.stat().st_ctime >= least_age_s
    except OSError:
        return False


def _unlink(directory: Path, *names: str) -> list[str]:
    """Remove what is there and this user's own; gives what it removed."""
    removed = []
    for name in names:
        with suppress(OSError):
            if (directory / name).stat().st_uid == os.geteuid():
                (directory / name).unlink()
                removed.append(name)
    return removed
