"""Opening a storage file of a bag, whatever its name says it is, packed or not."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import zstandard

from satllm_ros.data.rosbag.bag_storage import ZSTD_MAGIC, Loss, StorageError, StorageFile
from satllm_ros.data.rosbag.mcap_file import McapFile
from satllm_ros.data.rosbag.sqlite_file import SqliteFile

_SQLITE_MAGIC = b"SQLite format 3\0"


@contextmanager
def opened_storage(file: Path) -> Iterator[StorageFile | Loss]:
    """A storage file, whatever its name says it is; a Loss if nothing of it can be read."""
    with ExitStack() as stack:
        try:
            opened = _open(file, stack)
            stack.callback(opened.close)
            storage: StorageFile | Loss = opened
        except StorageError as error:
            storage = Loss(f"{file.name} {error}", None, is_end=True)
        except FileNotFoundError:
            storage = Loss(f"{file.name}, which metadata.yaml names, is not there", None, is_end=True)
        yield storage


def _open(file: Path, stack: ExitStack) -> StorageFile:
    with file.open("rb") as opened:
        start = opened.read(len(_SQLITE_MAGIC))
    if start.startswith(ZSTD_MAGIC) or file.suffix == ".zstd":
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="satllm-bag-")))
        unpacked = folder / file.name.removesuffix(".zstd")
        _unpack_file(file, unpacked)
        return _open(unpacked, stack)
    is_database = start == _SQLITE_MAGIC or (file.suffix == ".db3" and not start.startswith(b"\x89MCAP"))
    return SqliteFile(file) if is_database else McapFile(file)


def _unpack_file(source: Path, target: Path) -> None:
    """Unpack a whole file; of a damaged one, what precedes the damage."""
    with source.open("rb") as packed, target.open("wb") as unpacked:
        try:
            with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as reader:
                shutil.copyfileobj(reader, unpacked, 1 << 20)
        except zstandard.ZstdError:
            # The storage's own reader finds that it was cut off.
            return
