"""What was seen of each process, as a table, and what it shows."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Logits = Mapping[int, np.ndarray]


@dataclass(frozen=True)
class Row:
    """One satellite's process.

    Attributes
    ----------
    blocks
        (start, stop] of the plan that flew.
    counted_bytes
        Peak of what its limit counts.
    resident_bytes
        Peak of what it held in memory, mapped files included.
    """

    name: str
    blocks: tuple[int, int]
    parameter_bytes: int
    resident_bytes: int
    counted_bytes: int
    limit_bytes: int
    kills: int


def table(rows: Sequence[Row]) -> str:
    """Lines of the table, sizes in MB (10^6 byte)."""
    lines = [f" {'process':<9}{'blocks':>8}{'parameters':>14}{'peak resident':>16}{'peak counted':>15}{'limit':>11}"]
    for row in rows:
        sizes = zip(
            (row.parameter_bytes, row.resident_bytes, row.counted_bytes, row.limit_bytes), (11, 13, 12, 8), strict=True
        )
        blocks = f"{row.blocks[0] + 1}-{row.blocks[1]}"
        lines.append(f" {row.name:<9}{blocks:>8}" + "".join(f"{n / 1e6:>{width},.0f} MB" for n, width in sizes))
    return "\n".join(lines)


def how_it_failed(code: int, errors: str, kills: int) -> str:
    """How a process ended that was not to succeed, in words; empty if it succeeded or failed for another reason."""
    if code == -signal.SIGKILL and kills:
        return "killed by the system for want of memory (SIGKILL)"
    last = (errors.strip().splitlines() or [""])[-1]
    if code > 0 and ("MemoryError" in last or "allocate memory" in last):
        return f"refused memory: {last}"
    return ""


def complaints(
    rows: Sequence[Row], exit_code: int, expected: Logits, flown: Mapping[int, Sequence[np.ndarray]]
) -> list[str]:
    """What is wrong with a flight; empty if every process kept its limit and every logit is the expected one.

    Parameters
    ----------
    expected, flown
        Logits (E,) float32 by frame; flown ones as often as they were heard.
    """
    found = [f"{row.name} was killed for want of memory" for row in rows if row.kills]
    found += [f"{row.name} held {row.counted_bytes:,} bytes" for row in rows if row.counted_bytes > row.limit_bytes]
    if exit_code:
        found.append(f"the flight ended with exit code {exit_code}")
    if len(rows) < 2:
        found.append(f"the model flew in {len(rows)} processes")
    if not expected:
        found.append("nothing was compared")
    found += [f"frame {frame} never came down" for frame in expected if not flown.get(frame)]
    for frame, heard in flown.items():
        if frame not in expected:
            found.append(f"frame {frame} was never sent")
        elif not all(_same_bits(logits, expected[frame]) for logits in heard):
            found.append(f"logits of frame {frame} differ: {np.stack(heard)}, expected {expected[frame]}")
    return found


def _same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
