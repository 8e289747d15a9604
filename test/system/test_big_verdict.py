"""What `make big` says of a flight: it passes for the one reason, and fails for every other."""

from dataclasses import replace

import numpy as np
import pytest
from gigantic.run import DISK_BYTES, LIMIT_BYTES, RAM_BYTES, available_bytes, lack
from gigantic.verdict import Row, complaints, how_it_failed, table

ROWS = [
    Row("sat1", (0, 10), 770_000_000, 1_400_000_000, 1_500_000_000, LIMIT_BYTES, 0),
    Row("sat2", (10, 19), 690_000_000, 1_300_000_000, LIMIT_BYTES, LIMIT_BYTES, 0),
]
EXPECTED = {1: np.array([0.5, -0.0], np.float32), 2: np.array([1.0, 2.0], np.float32)}
FLOWN = {frame: [logits.copy()] for frame, logits in EXPECTED.items()}


def test_a_flight_as_it_should_be() -> None:
    assert complaints(ROWS, 0, EXPECTED, FLOWN) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": [ROWS[0], replace(ROWS[1], kills=1)]}, "sat2 was killed"),
        ({"rows": [ROWS[0], replace(ROWS[1], counted_bytes=LIMIT_BYTES + 1)]}, "sat2 held 2,000,000,001 bytes"),
        ({"rows": ROWS[:1]}, "flew in 1 processes"),
        ({"exit_code": 1}, "exit code 1"),
        ({"expected": {}, "flown": {}}, "nothing was compared"),
        ({"flown": {1: FLOWN[1]}}, "frame 2 never came down"),
        ({"flown": FLOWN | {2: []}}, "frame 2 never came down"),
        ({"flown": FLOWN | {3: FLOWN[1]}}, "frame 3 was never sent"),
        ({"flown": FLOWN | {2: [np.array([1.0, np.nextafter(np.float32(2), 3)], np.float32)]}}, "frame 2 differ"),
        ({"flown": FLOWN | {1: [np.array([0.5, 0.0], np.float32)]}}, "frame 1 differ"),
        ({"flown": FLOWN | {2: [EXPECTED[2], EXPECTED[2] + 1]}}, "frame 2 differ"),
        ({"flown": FLOWN | {2: [EXPECTED[2].astype(np.float64)]}}, "frame 2 differ"),
    ],
)
def test_every_fault_is_told(changes: dict[str, object], words: str) -> None:
    arguments = {"rows": ROWS, "exit_code": 0, "expected": EXPECTED, "flown": FLOWN} | changes
    assert any(words in complaint for complaint in complaints(**arguments))


@pytest.mark.parametrize(
    ("code", "errors", "kills", "words"),
    [
        (-9, "", 1, "killed by the system"),
        (1, "Traceback\nMemoryError\n", 0, "refused memory: MemoryError"),
        (1, "RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried", 0, "refused memory: RuntimeError"),
        (-9, "", 0, ""),
        (-11, "", 1, ""),
        (1, "FileNotFoundError: checkpoint", 0, ""),
        (1, "", 0, ""),
        (0, "MemoryError", 0, ""),
    ],
)
def test_only_want_of_memory_counts_as_such(code: int, errors: str, kills: int, words: str) -> None:
    said = how_it_failed(code, errors, kills)
    assert said.startswith(words) and bool(said) == bool(words)


def test_the_table_counts_blocks_from_one_and_sizes_in_megabytes() -> None:
    heading, first, second = table(ROWS).splitlines()
    assert heading.split() == "process blocks parameters peak resident peak counted limit".split()
    assert first.split() == "sat1 1-10 770 MB 1,400 MB 1,500 MB 2,000 MB".split()
    assert second.split()[:2] == ["sat2", "11-19"]
    assert len({len(heading), len(first), len(second)}) == 1


def test_too_little_disk_or_memory_is_told_before_anything_is_done() -> None:
    assert lack(DISK_BYTES, RAM_BYTES) == ""
    assert "disk" in lack(DISK_BYTES - 10**8, RAM_BYTES)
    assert "memory" in lack(DISK_BYTES, RAM_BYTES - 10**8)
    assert available_bytes("MemTotal:       24 kB\nMemAvailable:   16 kB\nHugePages_Total: 0\n") == 16 * 1024
