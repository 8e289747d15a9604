"""The framing of an MCAP file: its records one after the other, and where it goes on after damage."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from satllm_ros.data.rosbag import mcap_records as mcap
from satllm_ros.data.rosbag.bag_storage import StorageError
from satllm_ros.data.rosbag.mcap_records import HEAD, MAGIC, MESSAGE_HEAD, Op, RecordError

_SEARCH_BYTES = 1 << 20
_DATA_END_BYTES = 4
_PACKED = (b"\0\0\0\0", b"\3\0\0\0lz4", b"\4\0\0\0zstd")


@dataclass(frozen=True)
class Span:
    """A record of the data section: `length` bytes of payload; or, with `op` 0, bytes that are no record.

    `is_end`: the file was broken off here, or nothing that follows can be made out; a record may be begun.
    """

    op: int
    offset: int
    length: int
    is_end: bool = False

    @property
    def payload(self) -> int:
        return self.offset + HEAD.size

    @property
    def end(self) -> int:
        return self.payload + self.length if self.op else self.offset + self.length


@dataclass(frozen=True)
class Summary:
    """What the end of a whole file says about it."""

    start: int
    statistics: mcap.Statistics | None
    chunks: dict[int, mcap.ChunkIndex]


class McapFraming:
    """The records of one MCAP file, and the topics that they have told of so far.

    Attributes
    ----------
    size
        Bytes of the file.
    is_closed
        Whether its recorder ended it.
    summary
        What its end says, None unless that can be believed.
    types, channels
        Of the schemas and channels that were met, by their numbers.

    Raises
    ------
    StorageError
        If the file is empty.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.size = path.stat().st_size
        if not self.size:
            self._file.close()
            raise StorageError("is empty")
        self.types: dict[int, str] = {}
        self.channels: dict[int, mcap.Channel] = {}
        self._has_chunks = False
        footer = mcap.footer(self.at(max(0, self.size - mcap.FOOTER_BYTES), mcap.FOOTER_BYTES))
        self.is_closed = footer is not None
        self.summary = self._read_summary(*footer) if footer else None
        tail = self.size - mcap.FOOTER_BYTES if footer else self.size
        self.data_end = self.summary.start if self.summary else tail

    def close(self) -> None:
        self._file.close()

    def at(self, position: int, size: int) -> bytes:
        """Bytes of the file; fewer at its end, and none where the disk cannot read them."""
        try:
            self._file.seek(position)
            return self._file.read(size)
        except OSError:
            return b""

    def _read_summary(self, start: int, crc: int) -> Summary | None:
        """The summary, if there is one that can be believed."""
        if not len(MAGIC) <= start < self.size - mcap.FOOTER_BYTES:
            return None
        data = self.at(start, self.size - len(MAGIC) - 4 - start)
        if crc and zlib.crc32(data) != crc:
            return None
        found: mcap.Statistics | None = None
        chunks: dict[int, mcap.ChunkIndex] = {}
        try:
            for op, _, payload in mcap.records(data):
                self._take(op, payload)
                if op == Op.STATISTICS:
                    found = mcap.statistics(payload)
                elif op == Op.CHUNK_INDEX:
                    index = mcap.chunk_index(payload)
                    chunks[index.offset] = index
        except RecordError:
            return None
        return Summary(start, found, chunks)

    def spans(self) -> Iterator[Span]:
        """The records of the data section, and what lies between them that is none."""
        position = len(MAGIC)
        while position < self.data_end:
            head = self.at(position, HEAD.size)
            op, length = HEAD.unpack(head) if len(head) == HEAD.size else (0, 0)
            if op == Op.DATA_END and length == _DATA_END_BYTES:
                # All data are there, whatever became of the summary behind them.
                return
            if mcap.is_plausible(op, length) and position + HEAD.size + length <= self.data_end:
                self._has_chunks |= op == Op.CHUNK
                span = Span(op, position, length)
                yield span
                position = span.end
                continue
            resumed = self._resume(position + 1)
            if resumed is None:
                yield self._last_span(position, op, length)
                return
            yield Span(0, position, resumed - position)
            position = resumed
        if not self.is_closed:
            yield Span(0, position, 0, is_end=True)

    def _last_span(self, position: int, op: int, length: int) -> Span:
        if op == Op.CHUNK and mcap.is_plausible(op, length):
            return Span(op, position, self.data_end - position - HEAD.size, is_end=True)
        return Span(0, position, self.data_end - position, is_end=True)

    def _resume(self, position: int) -> int | None:
        """Where the next record after damage begins that is surely one."""
        if self.summary is not None and self.summary.chunks:
            return min((offset for offset in self.summary.chunks if offset >= position), default=None)
        while position < self.data_end:
            window = self.at(position, _SEARCH_BYTES + 64)
            if not window:
                # A sector that cannot be read.
                position += 4096
                continue
            for place in _places(window, bytes([Op.CHUNK])):
                if place < _SEARCH_BYTES and self._is_chunk(position + place, window[place : place + 64]):
                    return position + place
            if not self._has_chunks:
                for place in _places(window, bytes([Op.MESSAGE])):
                    if place < _SEARCH_BYTES and self._is_message(position + place, window[place : place + 64]):
                        return position + place
            position += _SEARCH_BYTES
        return None

    def _is_chunk(self, offset: int, start: bytes) -> bool:
        # Three lengths that agree, and one of three words: no picture looks like that.
        if not any(start[37 : 37 + len(word)] == word for word in _PACKED) or len(start) < HEAD.size + 40:
            return False
        length: int = HEAD.unpack_from(start)[1]
        try:
            head = mcap.chunk_head(start[HEAD.size :])
        except RecordError:
            return False
        return head.start + head.size == length and offset + HEAD.size + length <= self.data_end

    def _is_message(self, offset: int, start: bytes) -> bool:
        if len(start) < HEAD.size + 2:
            return False
        length: int = HEAD.unpack_from(start)[1]
        end = offset + HEAD.size + length
        if int.from_bytes(start[9:11], "little") not in self.channels or length < MESSAGE_HEAD.size:
            return False
        following = self.at(end, HEAD.size) if end < self.data_end else b""
        if len(following) < HEAD.size:
            return end == self.data_end
        op, size = HEAD.unpack(following)
        return mcap.is_plausible(op, size) and end + HEAD.size + size <= self.size

    def learn(self, span: Span) -> None:
        """Take what a record says of schemas and channels."""
        if span.op in (Op.SCHEMA, Op.CHANNEL):
            self.take_quietly(span.op, self.at(span.payload, span.length))

    def take_quietly(self, op: int, payload: bytes) -> None:
        """As `learn`, from a record's bytes; one that is damaged says nothing."""
        try:
            self._take(op, payload)
        except RecordError:
            # Its messages have no topic then, as if it were not there.
            return

    def _take(self, op: int, payload: bytes) -> None:
        if op == Op.SCHEMA:
            number, name = mcap.schema(payload)
            self.types.setdefault(number, name)
        elif op == Op.CHANNEL:
            number, found = mcap.channel(payload)
            self.channels.setdefault(number, found)


def _places(data: bytes, byte: bytes) -> Iterator[int]:
    place = data.find(byte)
    while place >= 0:
        yield place
        place = data.find(byte, place + 1)
