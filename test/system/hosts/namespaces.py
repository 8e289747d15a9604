"""A host: network stack, monotonic clock and shared memory of its own, made without being root.

Everything lives below one command, `unshare` with the words of `OUTER`: a user namespace in which the caller may make
the others, a network without a way out, and a process table that ends with its first process. Nothing is left behind.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# Where hosts are made: as root of a user namespace, with a network, mounts and processes that others do not see.
OUTER = ("unshare", "-r", "-n", "-m", "-p", "--fork", "--kill-child", "--mount-proc", "--")
PROGRAMS = ("unshare", "nsenter", "ip", "tc")
# Too small for a segment of Fast DDS, so that messages go over UDP, as between computers; enough for a semaphore.
_SHARED_MEMORY = "mount -t tmpfs -o size=64k tmpfs /dev/shm"
# A trial of all that a network needs: `hosts.topology` uses the same words.
_TRIAL = (
    "ip link add trial0 type veth peer name trial1 && ip link add trial2 type bridge && "
    "tc qdisc add dev trial0 root tbf rate 8mbit burst 32kb limit 64kb && "
    "tc qdisc replace dev trial1 root blackhole && "
    f"unshare -n -m -T --monotonic 1000 --boottime 1000 --fork sh -c '{_SHARED_MEMORY}'"
)


def why_not() -> str:
    """Why no hosts can be made here, in a sentence; empty if they can."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"{', '.join(missing)} not installed (Debian: util-linux, iproute2)"
    tried = subprocess.run([*OUTER, "sh", "-c", _TRIAL], capture_output=True, text=True, check=False)
    if tried.returncode == 0:
        return ""
    said = tried.stderr.strip().splitlines()
    return f"namespaces are not allowed here: {said[-1] if said else f'exit code {tried.returncode}'}"


def run(*words: str) -> str:
    """Output of a command.

    Raises
    ------
    RuntimeError
        If it fails, with what it said.
    """
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Host:
    """One computer: processes are started in it by `popen`, commands run in it by `run`.

    Its clock is ahead of the kernel's by `clock_offset_s` (whole seconds): readings of two hosts that are subtracted
    from each other give nonsense here as they do between computers.
    """

    def __init__(self, name: str, clock_offset_s: int) -> None:
        self.name = name
        script = f"{_SHARED_MEMORY} && ip link set lo up && echo $$ && exec cat"
        offsets = ("--monotonic", str(clock_offset_s), "--boottime", str(clock_offset_s))
        # It lives as long as this end of its input is open.
        self._holder = subprocess.Popen(
            ["unshare", "-n", "-m", "-T", *offsets, "--fork", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        said = self._holder.stdout.readline()
        if not said:
            raise RuntimeError(f"host {name} cannot be made: exit code {self._holder.wait()}")
        self.pid = int(said)
        self.holders = (self.pid, self._holder.pid)
        self._enter = ("nsenter", "-t", str(self.pid), "-n", "-m", "-T", "--")

    def run(self, *words: str) -> str:
        """As `run`, in this host."""
        return run(*self._enter, *words)

    def popen(self, words: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a process whose output is appended to a file."""
        with log.open("ab") as file:
            return subprocess.Popen(
                [*self._enter, *words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )

    def close(self) -> None:
        """Let it go; what still runs in it keeps its namespaces."""
        self._holder.communicate()
