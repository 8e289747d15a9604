"""What the storage files of a bag have in common, whatever their format."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class StorageError(ValueError):
    """A storage file of which nothing can be read; the message says why, without the file's name."""


@dataclass(frozen=True)
class Stored:
    """One message as a storage file holds it; `stamp_ns` is when it was recorded [ns since 1970]."""

    topic: str
    type_name: str
    encoding: str
    stamp_ns: int
    data: bytes


@dataclass(frozen=True)
class Loss:
    """Messages that the storage held, or should hold, and that cannot be read.

    Attributes
    ----------
    reason
        What is damaged, with the file's name.
    counts
        Messages lost by topic; None if the storage does not tell.
    is_end
        Nothing follows in this file: it was broken off, or cannot be read any further.
    is_cut
        The file ends as one does whose recorder was stopped.
    """

    reason: str
    counts: Mapping[str, int] | None
    is_end: bool = False
    is_cut: bool = False


@dataclass(frozen=True)
class Count:
    """Messages of one topic in one file: those that are known of, damaged ones among them, and gaps of unknown size."""

    known: int
    gaps: int = 0
    gap_at_end: bool = False


class StorageFile(Protocol):
    """One open storage file. Nothing here raises for damage in the middle: it is told as a `Loss`."""

    path: Path

    def topics(self) -> Mapping[str, str]:
        """Types by topic."""

    def count(self, topic: str) -> Count:
        """Messages of a topic, by index where there is one, else by the framing; bodies are not read for it."""

    def read(self, topics: Collection[str]) -> Iterator[Stored | Loss]:
        """Messages of these topics as they lie in the file, which is the order they were recorded in."""

    def times_ns(self) -> tuple[int, int] | None:
        """When the first and the last message were recorded [ns since 1970], of all topics; None if there is none."""

    def samples(self, topic: str) -> str:
        """Digest, in hexadecimal, of a bounded sample of what is in the file."""

    def close(self) -> None:
        """Close the file."""
