"""The memory limits that `make big` puts on processes do hold, and leave nothing behind."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from gigantic.limits import DataLimits, Limits, cgroup_paths, count_kills, limits_of
from gigantic.verdict import how_it_failed

LIMIT_BYTES = 200_000_000
TAKE = "import sys; sys.stdin.readline(); b'x' * int(sys.argv[1])"


def take(limits: Limits, taken_bytes: int) -> tuple[int, str, int, int]:
    """Exit code, errors, kills and peak of a process that takes so much memory once it is limited."""
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, str(taken_bytes)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        limit = limits.hold(process.pid, "taker")
        limit.peak_bytes()
        _, errors = process.communicate("go\n")
    return process.returncode, errors, limit.kills(), limit.peak_bytes()


def own_cgroups() -> set[Path]:
    """Folders of cgroups that this process has made and not removed."""
    return {
        folder
        for version, path in cgroup_paths(Path("/proc/self/cgroup").read_text()).items()
        for folder in (Path("/sys/fs/cgroup") / ("memory" if version == 1 else "") / path.lstrip("/")).glob("satllm_*")
    }


def test_the_limit_that_is_chosen_here_holds() -> None:
    before = own_cgroups()
    with limits_of(LIMIT_BYTES) as limits:
        code, errors, kills, peak_bytes = take(limits, 3 * LIMIT_BYTES)
        assert how_it_failed(code, errors, kills), (code, errors, kills)
        assert peak_bytes <= LIMIT_BYTES
    assert own_cgroups() == before


def test_what_fits_succeeds_and_is_counted() -> None:
    with limits_of(LIMIT_BYTES) as limits:
        code, errors, kills, peak_bytes = take(limits, LIMIT_BYTES // 2)
    assert (code, errors, kills) == (0, "", 0)
    if not isinstance(limits, DataLimits):
        assert peak_bytes >= LIMIT_BYTES // 2


def test_without_cgroups_memory_is_refused() -> None:
    code, errors, kills, _ = take(DataLimits(LIMIT_BYTES), 3 * LIMIT_BYTES)
    assert (code, kills) == (1, 0)
    assert how_it_failed(code, errors, kills) == "refused memory: MemoryError"


def test_only_the_process_itself_is_limited() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    take(DataLimits(LIMIT_BYTES), 1)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


@pytest.mark.parametrize(
    ("memberships", "paths"),
    [
        ("4:memory:/a/b\n1:cpu:/\n0::/c\n", {1: "/a/b", 2: "/c"}),
        ("0::/user.slice/run-1.scope\n", {2: "/user.slice/run-1.scope"}),
        ("9:cpu,memory:/x:y\n", {1: "/x:y"}),
        ("1:name=systemd:/\n", {}),
    ],
)
def test_own_cgroup_of_either_version(memberships: str, paths: dict[int, str]) -> None:
    assert cgroup_paths(memberships) == paths


@pytest.mark.parametrize(
    "events", ["oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "low 0\nhigh 0\nmax 9\noom 4\noom_kill 3\n"]
)
def test_kills_of_either_version(events: str) -> None:
    assert count_kills(events) == 3
