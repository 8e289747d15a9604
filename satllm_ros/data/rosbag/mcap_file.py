"""Reading an MCAP file as it lies there: indexed or not, whole, broken off or damaged in the middle."""

# long: one reader, of whole and of broken files

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from satllm_ros.data.rosbag import mcap_records as mcap
from satllm_ros.data.rosbag.bag_samples import sampled_digest
from satllm_ros.data.rosbag.bag_storage import Count, Loss, StorageError, Stored
from satllm_ros.data.rosbag.mcap_records import HEAD, MAGIC, MESSAGE_HEAD, Op, RecordError

_SEARCH_BYTES = 1 << 20
_DATA_END_BYTES = 4
_PACKED = (b"\0\0\0\0", b"\3\0\0\0lz4", b"\4\0\0\0zstd")


@dataclass(frozen=True)
class _Span:
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
class _Summary:
    """What the end of a whole file says about it."""

    start: int
    statistics: mcap.Statistics | None
    chunks: dict[int, mcap.ChunkIndex]


class McapFile:
    """One MCAP file; see `StorageFile`.

    Messages come in the order in which they lie in the file, never sorted by time: so a damaged part does not change
    the place of what follows, and a file that was broken off reads like the beginning of the whole one.

    Raises
    ------
    StorageError
        If the file is empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb")
        self._size = path.stat().st_size
        if not self._size:
            self._file.close()
            raise StorageError("is empty")
        self._types: dict[int, str] = {}
        self._channels: dict[int, mcap.Channel] = {}
        self._has_chunks = False
        footer = mcap.footer(self._at(max(0, self._size - mcap.FOOTER_BYTES), mcap.FOOTER_BYTES))
        self._is_closed = footer is not None
        self._summary = self._read_summary(*footer) if footer else None
        tail = self._size - mcap.FOOTER_BYTES if footer else self._size
        self._data_end = self._summary.start if self._summary else tail

    def close(self) -> None:
        self._file.close()

    def topics(self) -> Mapping[str, str]:
        if self._summary is None or not self._channels:
            _ = self._survey
        return {c.topic: self._types.get(c.schema, "") for c in self._channels.values()}

    def count(self, topic: str) -> Count:
        if self._summary is not None and self._summary.statistics is not None:
            return Count(self._of_topic(self._summary.statistics.by_channel, topic))
        counts, gaps, gap_at_end = self._survey
        return Count(self._of_topic(counts, topic), gaps, gap_at_end)

    def times_ns(self) -> tuple[int, int] | None:
        if self._summary is not None and (found := self._summary.statistics) is not None:
            return (found.first_ns, found.last_ns) if found.messages else None
        first, last = 2**64, -1
        for span in self._spans():
            if span.op == Op.CHUNK:
                try:
                    head = mcap.chunk_head(self._at(span.payload, 64))
                except RecordError:
                    continue
                # A chunk without messages says 0, or nonsense.
                if 0 < head.first_ns <= head.last_ns:
                    first, last = min(first, head.first_ns), max(last, head.last_ns)
            elif span.op == Op.MESSAGE and not span.is_end:
                stamp_ns = MESSAGE_HEAD.unpack(self._at(span.payload, MESSAGE_HEAD.size))[2]
                first, last = min(first, stamp_ns), max(last, stamp_ns)
        return (first, last) if last >= 0 else None

    def samples(self, topic: str) -> str:
        return sampled_digest(self.path)

    def read(self, topics: Collection[str]) -> Iterator[Stored | Loss]:
        for span in self._spans():
            if span.op == Op.CHUNK:
                yield from self._read_chunk(span, topics)
            elif span.op == 0 or span.is_end:
                yield self._gap(span)
            elif span.op == Op.MESSAGE:
                if (made := self._stored(self._at(span.payload, span.length), topics)) is not None:
                    yield made
            else:
                self._learn(span)

    # The file's framing

    def _at(self, position: int, size: int) -> bytes:
        """Bytes of the file; fewer at its end, and none where the disk cannot read them."""
        try:
            self._file.seek(position)
            return self._file.read(size)
        except OSError:
            return b""

    def _read_summary(self, start: int, crc: int) -> _Summary | None:
        """The summary, if there is one that can be believed."""
        if not len(MAGIC) <= start < self._size - mcap.FOOTER_BYTES:
            return None
        data = self._at(start, self._size - len(MAGIC) - 4 - start)
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
        return _Summary(start, found, chunks)

    def _spans(self) -> Iterator[_Span]:
        """The records of the data section, and what lies between them that is none."""
        position = len(MAGIC)
        while position < self._data_end:
            head = self._at(position, HEAD.size)
            op, length = HEAD.unpack(head) if len(head) == HEAD.size else (0, 0)
            if op == Op.DATA_END and length == _DATA_END_BYTES:
                # All data are there, whatever became of the summary behind them.
                return
            if mcap.is_plausible(op, length) and position + HEAD.size + length <= self._data_end:
                self._has_chunks |= op == Op.CHUNK
                span = _Span(op, position, length)
                yield span
                position = span.end
                continue
            resumed = self._resume(position + 1)
            if resumed is None:
                yield self._last_span(position, op, length)
                return
            yield _Span(0, position, resumed - position)
            position = resumed
        if not self._is_closed:
            yield _Span(0, position, 0, is_end=True)

    def _last_span(self, position: int, op: int, length: int) -> _Span:
        if op == Op.CHUNK and mcap.is_plausible(op, length):
            return _Span(op, position, self._data_end - position - HEAD.size, is_end=True)
        return _Span(0, position, self._data_end - position, is_end=True)

    def _resume(self, position: int) -> int | None:
        """Where the next record after damage begins that is surely one."""
        if self._summary is not None and self._summary.chunks:
            return min((offset for offset in self._summary.chunks if offset >= position), default=None)
        while position < self._data_end:
            window = self._at(position, _SEARCH_BYTES + 64)
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
        return head.start + head.size == length and offset + HEAD.size + length <= self._data_end

    def _is_message(self, offset: int, start: bytes) -> bool:
        if len(start) < HEAD.size + 2:
            return False
        length: int = HEAD.unpack_from(start)[1]
        end = offset + HEAD.size + length
        if int.from_bytes(start[9:11], "little") not in self._channels or length < MESSAGE_HEAD.size:
            return False
        following = self._at(end, HEAD.size) if end < self._data_end else b""
        if len(following) < HEAD.size:
            return end == self._data_end
        op, size = HEAD.unpack(following)
        return mcap.is_plausible(op, size) and end + HEAD.size + size <= self._size

    # Counting

    @cached_property
    def _survey(self) -> tuple[Counter[int], int, bool]:
        """Messages by channel, gaps of unknown size, and whether one of these ends the file; learns all channels."""
        counts: Counter[int] = Counter()
        gaps, gap_at_end = 0, False
        for span in self._spans():
            if span.op == Op.CHUNK:
                indexed = None if span.is_end else self._indexed(span)
                if indexed is None or not indexed.keys() <= self._channels.keys():
                    found, problem = self._open_chunk(span)
                    for op, _, payload in mcap.records(found):
                        if op == Op.MESSAGE and indexed is None and len(payload) >= MESSAGE_HEAD.size:
                            counts[MESSAGE_HEAD.unpack_from(payload)[0]] += 1
                        self._take_quietly(op, payload)
                    if indexed is None and (problem or span.is_end):
                        gaps, gap_at_end = gaps + 1, span.is_end
                counts.update(indexed or {})
            elif span.op == 0 or span.is_end:
                lost = self._gap_counts(span)
                counts.update(lost or {})
                if lost is None:
                    gaps, gap_at_end = gaps + 1, span.is_end
            elif span.op == Op.MESSAGE:
                counts[MESSAGE_HEAD.unpack(self._at(span.payload, MESSAGE_HEAD.size))[0]] += 1
            else:
                self._learn(span)
        return counts, gaps, gap_at_end

    def _of_topic(self, counts: Mapping[int, int], topic: str) -> int:
        return sum(n for number, n in counts.items() if number in self._channels and self._topic(number) == topic)

    def _topic(self, number: int) -> str:
        return self._channels[number].topic

    def _indexed(self, chunk: _Span) -> dict[int, int] | None:
        """Messages of a chunk by channel, from its message indexes, in the summary or behind it; None without any."""
        if self._summary is not None and (index := self._summary.chunks.get(chunk.offset)) is not None:
            if index.message_indexes:
                return self._index_counts(index)
        counts: dict[int, int] = {}
        position = chunk.end
        while position < self._data_end:
            start = self._at(position, HEAD.size + 6)
            if len(start) < HEAD.size:
                break
            if start[0] != Op.MESSAGE_INDEX:
                # Only what another record follows is surely all of them.
                return counts if counts and mcap.is_plausible(*HEAD.unpack_from(start)) else None
            if len(start) < HEAD.size + 6:
                break
            length: int = HEAD.unpack_from(start)[1]
            number, messages = mcap.message_index(start[HEAD.size :])
            if not 6 <= length <= self._data_end - position or messages * 16 != length - 6:
                return None
            counts[number] = messages
            position += HEAD.size + length
        return None

    def _index_counts(self, index: mcap.ChunkIndex) -> dict[int, int] | None:
        counts = {}
        for number, offset in index.message_indexes.items():
            start = self._at(offset, HEAD.size + 6)
            if len(start) < HEAD.size + 6 or start[0] != Op.MESSAGE_INDEX:
                return None
            counts[number] = mcap.message_index(start[HEAD.size :])[1]
        return counts

    def _gap_counts(self, gap: _Span) -> dict[int, int] | None:
        """Messages lost in bytes that are no record, where the summary knows the chunks that lay there."""
        if self._summary is None or not self._summary.chunks:
            return None
        lost: Counter[int] = Counter()
        for offset, index in self._summary.chunks.items():
            if gap.offset <= offset < gap.end:
                if not index.message_indexes or (counts := self._index_counts(index)) is None:
                    return None
                lost.update(counts)
        return dict(lost)

    # Reading

    def _open_chunk(self, span: _Span) -> tuple[bytes, str]:
        """The records of a chunk, and what is wrong with it; of the one that a file breaks off in, what is whole."""
        payload = self._at(span.payload, span.length)
        try:
            if len(payload) < span.length:
                raise RecordError("it cannot be read")
            head = mcap.chunk_head(payload)
            if span.is_end:
                return mcap.unpacked(head, payload[head.start : head.start + head.size]), ""
            return mcap.chunk_records(head, payload), ""
        except RecordError as error:
            return b"", str(error)

    def _read_chunk(self, span: _Span, topics: Collection[str]) -> Iterator[Stored | Loss]:
        indexed = None if span.is_end else self._indexed(span)
        if indexed is not None and indexed.keys() <= self._channels.keys():
            # A chunk of other topics is passed over unread, unless channels may have to be learned from it.
            if self._summary is not None and not any(self._topic(number) in topics for number in indexed):
                return
        data, problem = self._open_chunk(span)
        read: Counter[int] = Counter()
        for op, _, payload in mcap.records(data):
            if op != Op.MESSAGE:
                self._take_quietly(op, payload)
                continue
            if len(payload) >= MESSAGE_HEAD.size:
                read[MESSAGE_HEAD.unpack_from(payload)[0]] += 1
            if (made := self._stored(payload, topics)) is not None:
                yield made
        if span.is_end:
            yield Loss(
                f"{self.path.name} ends in the middle of a chunk, at byte {self._size}", None, is_end=True, is_cut=True
            )
        elif problem or (indexed is not None and Counter(indexed) - read):
            problem = problem or "its records do not follow one another"
            lost = None if indexed is None else self._by_topic(Counter(indexed) - read)
            yield Loss(f"the chunk at byte {span.offset} of {self.path.name} is damaged: {problem}", lost)

    def _gap(self, span: _Span) -> Loss:
        lost = self._gap_counts(span)
        counts = None if lost is None else self._by_topic(lost)
        if not span.is_end:
            return Loss(f"bytes {span.offset} to {span.end} of {self.path.name} are no record", counts)
        if self._is_closed:
            return Loss(f"nothing can be made out after byte {span.offset} of {self.path.name}", counts, is_end=True)
        where = f"ends in the middle of a record, at byte {self._size}" if span.length else "has no end record"
        return Loss(f"{self.path.name} {where}", counts, is_end=True, is_cut=True)

    def _by_topic(self, counts: Mapping[int, int]) -> dict[str, int]:
        by_topic: Counter[str] = Counter()
        for number, messages in counts.items():
            by_topic[self._topic(number) if number in self._channels else ""] += messages
        return dict(by_topic)

    def _stored(self, payload: bytes, topics: Collection[str]) -> Stored | None:
        if len(payload) < MESSAGE_HEAD.size:
            return None
        number, _, stamp_ns, _ = MESSAGE_HEAD.unpack_from(payload)
        found = self._channels.get(number)
        if found is None or found.topic not in topics:
            return None
        type_name = self._types.get(found.schema, "")
        return Stored(found.topic, type_name, found.encoding, stamp_ns, payload[MESSAGE_HEAD.size :])

    def _learn(self, span: _Span) -> None:
        if span.op in (Op.SCHEMA, Op.CHANNEL):
            self._take_quietly(span.op, self._at(span.payload, span.length))

    def _take_quietly(self, op: int, payload: bytes) -> None:
        try:
            self._take(op, payload)
        except RecordError:
            # Its messages have no topic then, as if it were not there.
            return

    def _take(self, op: int, payload: bytes) -> None:
        if op == Op.SCHEMA:
            number, name = mcap.schema(payload)
            self._types.setdefault(number, name)
        elif op == Op.CHANNEL:
            number, found = mcap.channel(payload)
            self._channels.setdefault(number, found)


def _places(data: bytes, byte: bytes) -> Iterator[int]:
    place = data.find(byte)
    while place >= 0:
        yield place
        place = data.find(byte, place + 1)
