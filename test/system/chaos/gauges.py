"""What a process takes of a computer, read from /proc."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SHARED_MEMORY = "/dev/shm/"


@dataclass(frozen=True)
class Gauge:
    """One process at one moment: resident memory of its own, shared memory aside [byte], threads, open descriptors."""

    memory_bytes: int
    threads: int
    descriptors: int


def gauge(pid: int) -> Gauge:
    """Read a living process of this user."""
    process = Path("/proc") / str(pid)
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return Gauge(
        memory_bytes=1024 * (_kibibytes(status["VmRSS"]) - _kibibytes(status["RssShmem"])),
        threads=int(status["Threads"]),
        descriptors=len(list((process / "fd").iterdir())),
    )


def _kibibytes(field: str) -> int:
    return int(field.split()[0])


def shared_memory_bytes(pids: Sequence[int]) -> int:
    """Bytes of the files in shared memory that these processes have mapped, each counted once."""
    names: set[str] = set()
    for pid in pids:
        for line in (Path("/proc") / str(pid) / "maps").read_text().splitlines():
            name = line.split(maxsplit=5)[-1]
            if name.startswith(_SHARED_MEMORY) and not name.endswith("(deleted)"):
                names.add(name)
    return sum(Path(name).stat().st_size for name in names)


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Least-squares slope of y over x."""
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0
