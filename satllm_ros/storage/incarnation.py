"""The one number that lives of a planner hand on: the highest incarnation that any of them may have used."""

from __future__ import annotations

from pathlib import Path

from satllm_ros.protocol.plan import MAX_EPOCH
from satllm_ros.storage.durable import read_if_there, write_durably


def read_incarnation(path: Path) -> int:
    """What the last life wrote; 0 if there was none.

    Raises
    ------
    OSError
        If the file is there and cannot be read.
    ValueError
        If it holds anything else.
    """
    content = read_if_there(path)
    if content is None:
        return 0
    text = content[:40].strip()
    # Not `int` alone, which also takes signs and underscores.
    if not text.isdigit() or int(text) > MAX_EPOCH:
        raise ValueError(
            f"{path} holds {text.decode(errors='replace')!r}; it must hold the planner's last incarnation, a whole"
            f" number from 0 to 2^63. Without this file, a planner starts above every plan it hears of"
        )
    return int(text)


def write_incarnation(path: Path, incarnation: int) -> None:
    """Write it so that it survives a power cut.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    write_durably(path, f"{incarnation}\n".encode())
