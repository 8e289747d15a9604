"""Files that a node keeps for its next life in the same run; one of another run is refused, never misread."""

from __future__ import annotations

from pathlib import Path

from satllm_ros.storage.durable import read_if_there, write_durably

_MARK = b"satllm 2 "


def keep(path: Path, run_id: int, content: bytes) -> None:
    """Write content so that it survives a power cut; raises OSError if it cannot be written."""
    write_durably(path, header(run_id) + content)


def kept(path: Path, run_id: int) -> bytes | None:
    """What an earlier life of this run kept; None if there is nothing.

    Raises
    ------
    ValueError
        If the file is of another run, of an older version, or another program's.
    OSError
        If it cannot be read.
    """
    content = read_if_there(path)
    if content is None:
        return None
    check_header(path, content, run_id)
    return content[len(header(run_id)) :]


def header(run_id: int) -> bytes:
    """First bytes of a file of a run."""
    return _MARK + f"{run_id:016x}\n".encode()


def check_header(path: Path, content: bytes, run_id: int) -> None:
    """Raises `ValueError` unless the content begins as a file of this run."""
    ours = header(run_id)
    if content.startswith(ours):
        return
    if not content.startswith(_MARK):
        raise ValueError(
            f"{path} was written by an older version of satllm_ros, or by another program: move it away, or choose"
            " another folder"
        )
    owner = content[len(_MARK) : len(ours) - 1].decode(errors="replace")
    raise ValueError(f"{path} is of run {owner}, and this is run {run_id:016x}: move it away, or choose another folder")
