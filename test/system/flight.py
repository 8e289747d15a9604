"""Starts the real graph in processes of its own, and leaves none behind."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import yaml
from ros_domain import lock_of, own_domain
from tiny_material import Material

# How long a flight may be without a word: on a busy machine each of its steps takes a minute. And how long it may talk.
PATIENCE_S, LONGEST_S = 150.0, 540.0
_MARK = "SATLLM_TEST_FLIGHT"
_SHARED_MEMORY = Path("/dev/shm")
_FILE = re.compile(r"(?:sem\.)?(fast(?:dds|rtps)_(?:port(\d+)|[0-9a-f]+))(?:_el|_mutex)?")
# Ports of a domain by the RTPS standard.
_FIRST_PORT, _PORTS_OF_A_DOMAIN = 7400, 250
# Files of another graph that ends at this moment may be in nobody's hands for an instant.
_SETTLE_S = 20.0
_WATCH_PERIOD_S = 0.5


def executable(name: str) -> str:
    """Path of an installed program, beside this Python or on the search path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = shutil.which(name, path=path)
    assert found, f"{name} is not installed beside {sys.executable}"
    return found


def constellation(
    material: Material,
    block_s: Sequence[float],
    *,
    emulate: bool = True,
    batch_tiles: int = 4,
    memory_bytes: int = 1_000_000,
    **changes: Any,
) -> dict[str, Any]:
    """Content of a constellation file: satellites sat1, sat2 … of these speeds fly the tiny bag."""
    link = {"rate_bps": 4.0e6, "propagation_s": 0.002}
    return {
        "model": {"checkpoint": str(material.checkpoint), "artefacts": str(material.artefacts)},
        "source": {"kind": "bag", "path": str(material.bag)},
        "batch_tiles": batch_tiles,
        "window_batches": 4,
        "upload_encoding": "jpeg",
        "codecs": ["int8", "raw"],
        "accuracy_floor": 0.0,
        "threads": 1,
        "emulate": {"compute": emulate, "links": emulate},
        "satellites": [
            {"name": f"sat{number}", "memory_bytes": memory_bytes, "block_s": seconds}
            for number, seconds in enumerate(block_s, start=1)
        ],
        "links": {"upload": link, "isl": link, "s2g": link},
        **changes,
    }


def write_constellation(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write a constellation file."""
    path = folder / "constellation.yaml"
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False))
    return path


class Flight:
    """One program of the package and every process it started, known by a mark in their environment."""

    def __init__(self, command: Sequence[str | Path], folder: Path, domain: int) -> None:
        self.domain = domain
        self.runs = folder / "runs"
        self._mark = uuid.uuid4().hex
        self._shared_before = _shared_memory_files()
        self._segments: set[str] = set()
        self._watched_s = 0.0
        self._output, self._errors = folder / "stdout.txt", folder / "stderr.txt"
        with self._output.open("w") as output, self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                cwd=folder,
                env=os.environ | {"ROS_DOMAIN_ID": str(self.domain), _MARK: self._mark},
                start_new_session=True,
                # Nothing else: not the locks on shared memory of this process's own participants.
                pass_fds=[lock_of(domain)],
            )

    @property
    def said_bytes(self) -> int:
        """Bytes that it has printed."""
        return self._output.stat().st_size + self._errors.stat().st_size

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    @property
    def logs(self) -> str:
        """What its processes wrote."""
        return "".join(path.read_text() for path in sorted((self.latest / "logs").glob("*.log")))

    @property
    def latest(self) -> Path:
        """Directory of the run."""
        return self.runs / "latest"

    def wait(self) -> int:
        """Exit code, once it has ended."""
        patience = Patience(self)
        while patience.lasts:
            self.watch_segments()
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(_WATCH_PERIOD_S)
        raise AssertionError(f"it does not end\n{self.story()}")

    def watch_segments(self) -> None:
        """Note, now and then, which shared memory its processes own: they hold the locks of it open."""
        if time.monotonic() < self._watched_s + _WATCH_PERIOD_S:
            return
        self._watched_s = time.monotonic()
        for pid in self.pids():
            with suppress(OSError):
                links = [os.path.basename(os.readlink(link)) for link in Path(f"/proc/{pid}/fd").iterdir()]
                self._segments |= {found[1] for link in links if (found := _FILE.fullmatch(link))}

    def story(self) -> str:
        """What it printed, for the message of a failing test."""
        return f"--- stdout\n{self.output[-4000:]}\n--- stderr\n{self.errors[-4000:]}"

    def pids(self, *words: str) -> list[int]:
        """Its living processes whose command line contains all of these words."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes().split(b"\0")
                words_of = (process / "cmdline").read_bytes().decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if f"{_MARK}={self._mark}".encode() in environment and all(word in words_of for word in words):
                found.append(int(process.name))
        return found

    def kill_one(self, *words: str) -> None:
        """SIGKILL the one process whose command line contains these words."""
        (pid,) = self.pids(*words)
        os.kill(pid, signal.SIGKILL)

    def left_behind(self) -> tuple[list[int], list[str]]:
        """Processes that outlived it, and shared-memory files that nobody uses any more."""
        deadline_s = time.monotonic() + _SETTLE_S
        while True:
            left = self.pids(), self._orphans()
            if left == ([], []) or time.monotonic() > deadline_s:
                return left

    def segments_left(self) -> list[str]:
        """Segments that its processes had in hand, still there, of a dead owner: what a killed process leaves is large.

        Whoever frees shared memory has the locks of other flights' segments open for a moment, too: their owners live.
        A port may be left, while this process has it mapped.
        """
        there = [name for name in self._segments if "port" not in name and (_SHARED_MEMORY / name).exists()]
        return sorted(name for name in there if not _owner_lives(name))

    def _orphans(self) -> list[str]:
        """Its shared-memory files, those of its DDS domain and those it was seen to own, that nobody has open."""
        new = [found for name in _shared_memory_files() - self._shared_before if (found := _FILE.fullmatch(name))]
        first_port = _FIRST_PORT + _PORTS_OF_A_DOMAIN * self.domain
        ports = range(first_port, first_port + _PORTS_OF_A_DOMAIN)
        used = _segments_in_use()
        return sorted(
            found[0]
            for found in new
            if (found[1] in self._segments or (found[2] is not None and int(found[2]) in ports))
            and found[1] not in used
            and (_SHARED_MEMORY / found[0]).exists()
        )

    def end(self) -> None:
        """Kill what is left, and free the shared memory that killed processes leave."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        for name in self._orphans():
            (_SHARED_MEMORY / name).unlink(missing_ok=True)


class Patience:
    """Lasts for some time [s] after the last word of a flight, and not for ever."""

    def __init__(self, flight: Flight, silence_s: float = PATIENCE_S) -> None:
        self._flight, self._silence_s = flight, silence_s
        self._said_bytes = flight.said_bytes
        self._until_s = time.monotonic() + silence_s
        self._longest_s = time.monotonic() + max(silence_s, LONGEST_S)

    @property
    def lasts(self) -> bool:
        said_bytes, now_s = self._flight.said_bytes, time.monotonic()
        if said_bytes != self._said_bytes:
            self._said_bytes, self._until_s = said_bytes, now_s + self._silence_s
        return now_s < min(self._until_s, self._longest_s)


@contextmanager
def started(command: Sequence[str | Path], folder: Path, domain: int | None = None) -> Iterator[Flight]:
    """A flight that is ended with the block, whatever happens in it; in a domain of its own unless one is given."""
    with own_domain() if domain is None else nullcontext(domain) as chosen:
        flight = Flight(command, folder, chosen)
        try:
            yield flight
        finally:
            flight.end()


def up(config: Path, *options: str | Path) -> list[str | Path]:
    """Command line of `satllm up`; runs are kept beside the configuration.

    Without the unsplit reference, which takes seconds, unless the options ask for it.
    """
    reference = () if "--reference" in options else ("--reference", "none")
    return [executable("satllm"), "up", config, "--runs", config.parent / "runs", *reference, *options]


def _shared_memory_files() -> frozenset[str]:
    """Names of Fast DDS's files: segments, ports, their locks and mutexes."""
    names = (path.name for path in _SHARED_MEMORY.iterdir()) if _SHARED_MEMORY.is_dir() else ()
    return frozenset(name for name in names if _FILE.fullmatch(name))


def _owner_lives(segment: str) -> bool:
    """Whether some process holds the lock of a segment, which the kernel frees with its owner."""
    try:
        with (_SHARED_MEMORY / f"{segment}_el").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _segments_in_use() -> set[str]:
    """Names of segments and ports, without suffixes, that some other living process has mapped or open.

    A lock or a mutex lives as long as its segment or port. This process, once its observer is gone, may still map
    what others have left.
    """
    used: set[str] = set()
    our_files = os.readlink("/proc/self/ns/mnt")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.name == str(os.getpid()) or os.readlink(process / "ns" / "mnt") != our_files:
                continue
            open_files = " ".join(os.readlink(link) for link in (process / "fd").iterdir())
            mapped = (process / "maps").read_text()
            used |= set(re.findall(r"fast(?:dds|rtps)_(?:port\d+|[0-9a-f]+)", open_files + mapped))
        except OSError:
            continue
    return used
