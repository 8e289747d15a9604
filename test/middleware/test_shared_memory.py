"""Real lock files, some held by a process that lives and some by one that was killed."""

import fcntl
import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from satllm_ros.middleware import shared_memory
from satllm_ros.middleware.shared_memory import COMMON_PORTS, FIRST_PORT, PORTS_OF_A_DOMAIN, remove_orphans

# As version 3 of Fast DDS calls them, and version 2, of Jazzy and before.
SEGMENT, OLD_SEGMENT, OTHER = "fastdds_0123456789abcdef", "fastrtps_0123456789abcdef", "fastdds_fedcba9876543210"
OF_FAST_DDS = pytest.mark.parametrize("made_by", ["fastdds", "fastrtps"])
DOMAIN = 7
PORT = FIRST_PORT + PORTS_OF_A_DOMAIN * DOMAIN + 11
OWNER = """
import fcntl, sys
files = [open(path, "wb") for path in sys.argv[2:]]
for file in files:
    fcntl.flock(file, fcntl.LOCK_EX if sys.argv[1] == "exclusive" else fcntl.LOCK_SH)
print("locked", flush=True)
sys.stdin.read()
"""


class Owner:
    """A process that holds lock files."""

    def __init__(self, *paths: Path, kind: str = "exclusive") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, kind, *map(str, paths)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None and self.process.stdout.readline() == b"locked\n"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def owners() -> Iterator[list[Owner]]:
    made: list[Owner] = []
    yield made
    for owner in made:
        owner.kill()


def segment(folder: Path, name: str = SEGMENT) -> Path:
    """A segment and its lock file; gives the latter."""
    (folder / name).write_bytes(b"data")
    lock = folder / f"{name}_el"
    lock.touch()
    return lock


def port(folder: Path, number: int = PORT, lock: str = "_el", made_by: str = "fastdds") -> Path:
    """A port, its mutex and its lock file; gives the latter."""
    (folder / f"{made_by}_port{number}").write_bytes(b"data")
    (folder / f"sem.{made_by}_port{number}_mutex").touch()
    made = folder / f"{made_by}_port{number}{lock}"
    made.touch()
    return made


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", [SEGMENT, OLD_SEGMENT])
def test_a_segment_lives_as_long_as_its_owner(tmp_path: Path, owners: list[Owner], name: str) -> None:
    owners += [Owner(segment(tmp_path, name)), Owner(segment(tmp_path, OTHER))]
    assert remove_orphans(DOMAIN, tmp_path, least_age_s=0.0) == []
    owners[0].kill()
    assert sorted(remove_orphans(DOMAIN, tmp_path)) == [name, f"{name}_el"]
    assert left(tmp_path) == [OTHER, f"{OTHER}_el"]


def test_a_lock_that_was_just_made_is_left_alone_until_it_is_old(tmp_path: Path) -> None:
    (tmp_path / f"{SEGMENT}_el").touch()
    assert remove_orphans(DOMAIN, tmp_path, least_age_s=3600.0) == []
    assert remove_orphans(DOMAIN, tmp_path, least_age_s=0.0) == [f"{SEGMENT}_el"]


@pytest.mark.parametrize(("lock", "kind"), [("_el", "exclusive"), ("_sl", "shared")])
def test_a_port_lives_as_long_as_its_listener(tmp_path: Path, owners: list[Owner], lock: str, kind: str) -> None:
    owners.append(Owner(port(tmp_path, lock=lock), kind=kind))
    assert remove_orphans(DOMAIN, tmp_path, least_age_s=0.0) == []
    owners[0].kill()
    assert len(remove_orphans(DOMAIN, tmp_path, least_age_s=0.0)) == 3
    assert left(tmp_path) == []


@OF_FAST_DDS
def test_a_port_that_somebody_writes_to_is_left_alone(tmp_path: Path, made_by: str) -> None:
    port(tmp_path, made_by=made_by)
    with (tmp_path / f"{made_by}_port{PORT}").open("r+b"):
        assert remove_orphans(DOMAIN, tmp_path, least_age_s=0.0) == []
    assert len(remove_orphans(DOMAIN, tmp_path, least_age_s=0.0)) == 3


@OF_FAST_DDS
def test_a_port_that_somebody_has_mapped_is_left_alone(tmp_path: Path, made_by: str) -> None:
    port(tmp_path, made_by=made_by)
    with (tmp_path / f"{made_by}_port{PORT}").open("r+b") as file:
        view = mmap.mmap(file.fileno(), 0)
    assert remove_orphans(DOMAIN, tmp_path, least_age_s=0.0) == []
    view.close()
    assert len(remove_orphans(DOMAIN, tmp_path, least_age_s=0.0)) == 3


def test_a_port_of_the_same_number_elsewhere_is_another(tmp_path: Path) -> None:
    """As in the flights that run beside these tests, of whatever domain."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    port(tmp_path / "here")
    with (port(tmp_path / "there").parent / f"fastdds_port{PORT}").open("r+b"):
        assert len(remove_orphans(DOMAIN, tmp_path / "here", least_age_s=0.0)) == 3


def test_a_port_without_a_lock_is_one_too(tmp_path: Path) -> None:
    port(tmp_path).unlink()
    assert remove_orphans(DOMAIN, tmp_path, least_age_s=3600.0) == []
    assert len(remove_orphans(DOMAIN, tmp_path, least_age_s=0.0)) == 2


@pytest.mark.parametrize("number", [PORT - PORTS_OF_A_DOMAIN, PORT + PORTS_OF_A_DOMAIN])
def test_ports_of_other_domains_are_left_alone(tmp_path: Path, number: int) -> None:
    port(tmp_path, number)
    assert remove_orphans(DOMAIN, tmp_path, least_age_s=0.0) == []


def test_ports_of_no_domain_count_too(tmp_path: Path) -> None:
    port(tmp_path, COMMON_PORTS[-1])
    assert len(remove_orphans(DOMAIN, tmp_path, least_age_s=0.0)) == 3


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("fastdds_0123", "fastdds_0123_el", "other_el", "sem.other", f"{SEGMENT}_elx", "fastdds_port"):
        (tmp_path / name).touch()
    before = left(tmp_path)
    assert remove_orphans(DOMAIN, tmp_path, least_age_s=0.0) == []
    assert left(tmp_path) == before


def test_files_of_another_user_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment(tmp_path)
    port(tmp_path)
    before = left(tmp_path)
    someone_else = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: someone_else)
    assert remove_orphans(DOMAIN, tmp_path, least_age_s=0.0) == []
    assert left(tmp_path) == before


def test_no_lock_is_held_afterwards(tmp_path: Path) -> None:
    lock = tmp_path / f"{SEGMENT}_el"
    lock.touch()
    remove_orphans(DOMAIN, tmp_path, least_age_s=3600.0)
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_without_shared_memory_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert remove_orphans(DOMAIN, tmp_path / "absent") == []


@pytest.mark.parametrize(("text", "domain"), [("", 0), ("0", 0), ("42", 42), ("many", 0)])
def test_the_domain_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch, text: str, domain: int) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", text)
    assert shared_memory.domain_of_environment() == domain
