"""Reading an MCAP file as it lies there: indexed or not, whole, broken off or damaged in the middle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from satllm_ros.data.rosbag import mcap_records as mcap
from satllm_ros.data.rosbag.bag_samples import sampled_digest
from satllm_ros.data.rosbag.bag_storage import Count, Loss, Stored
from satllm_ros.data.rosbag.mcap_framing import McapFraming, Span
from satllm_ros.data.rosbag.mcap_records import HEAD, MESSAGE_HEAD, Op, RecordError


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
        self._framing = McapFraming(path)

    def close(self) -> None:
        self._framing.close()

    def topics(self) -> Mapping[str, str]:
        if self._framing.summary is None or not self._framing.channels:
            _ = self._survey
        return {c.topic: self._framing.types.get(c.schema, "") for c in self._framing.channels.values()}

    def count(self, topic: str) -> Count:
        if self._framing.summary is not None and self._framing.summary.statistics is not None:
            return Count(self._of_topic(self._framing.summary.statistics.by_channel, topic))
        counts, gaps, gap_at_end = self._survey
        return Count(self._of_topic(counts, topic), gaps, gap_at_end)

    def times_ns(self) -> tuple[int, int] | None:
        if self._framing.summary is not None and (found := self._framing.summary.statistics) is not None:
            return (found.first_ns, found.last_ns) if found.messages else None
        first, last = 2**64, -1
        for span in self._framing.spans():
            if span.op == Op.CHUNK:
                try:
                    head = mcap.chunk_head(self._framing.at(span.payload, 64))
                except RecordError:
                    continue
                # A chunk without messages says 0, or nonsense.
                if 0 < head.first_ns <= head.last_ns:
                    first, last = min(first, head.first_ns), max(last, head.last_ns)
            elif span.op == Op.MESSAGE and not span.is_end:
                stamp_ns = MESSAGE_HEAD.unpack(self._framing.at(span.payload, MESSAGE_HEAD.size))[2]
                first, last = min(first, stamp_ns), max(last, stamp_ns)
        return (first, last) if last >= 0 else None

    def samples(self, topic: str) -> str:
        return sampled_digest(self.path)

    def read(self, topics: Collection[str]) -> Iterator[Stored | Loss]:
        for span in self._framing.spans():
            if span.op == Op.CHUNK:
                yield from self._read_chunk(span, topics)
            elif span.op == 0 or span.is_end:
                yield self._gap(span)
            elif span.op == Op.MESSAGE:
                if (made := self._stored(self._framing.at(span.payload, span.length), topics)) is not None:
                    yield made
            else:
                self._framing.learn(span)

    # Counting

    @cached_property
    def _survey(self) -> tuple[Counter[int], int, bool]:
        """Messages by channel, gaps of unknown size, and whether one of these ends the file; learns all channels."""
        counts: Counter[int] = Counter()
        gaps, gap_at_end = 0, False
        for span in self._framing.spans():
            if span.op == Op.CHUNK:
                indexed = None if span.is_end else self._indexed(span)
                if indexed is None or not indexed.keys() <= self._framing.channels.keys():
                    found, problem = self._open_chunk(span)
                    for op, _, payload in mcap.records(found):
                        if op == Op.MESSAGE and indexed is None and len(payload) >= MESSAGE_HEAD.size:
                            counts[MESSAGE_HEAD.unpack_from(payload)[0]] += 1
                        self._framing.take_quietly(op, payload)
                    if indexed is None and (problem or span.is_end):
                        gaps, gap_at_end = gaps + 1, span.is_end
                counts.update(indexed or {})
            elif span.op == 0 or span.is_end:
                lost = self._gap_counts(span)
                counts.update(lost or {})
                if lost is None:
                    gaps, gap_at_end = gaps + 1, span.is_end
            elif span.op == Op.MESSAGE:
                counts[MESSAGE_HEAD.unpack(self._framing.at(span.payload, MESSAGE_HEAD.size))[0]] += 1
            else:
                self._framing.learn(span)
        return counts, gaps, gap_at_end

    def _of_topic(self, counts: Mapping[int, int], topic: str) -> int:
        return sum(
            n for number, n in counts.items() if number in self._framing.channels and self._topic(number) == topic
        )

    def _topic(self, number: int) -> str:
        return self._framing.channels[number].topic

    def _indexed(self, chunk: Span) -> dict[int, int] | None:
        """Messages of a chunk by channel, from its message indexes, in the summary or behind it; None without any."""
        if self._framing.summary is not None and (index := self._framing.summary.chunks.get(chunk.offset)) is not None:
            if index.message_indexes:
                return self._index_counts(index)
        counts: dict[int, int] = {}
        position = chunk.end
        while position < self._framing.data_end:
            start = self._framing.at(position, HEAD.size + 6)
            if len(start) < HEAD.size:
                break
            if start[0] != Op.MESSAGE_INDEX:
                # Only what another record follows is surely all of them.
                return counts if counts and mcap.is_plausible(*HEAD.unpack_from(start)) else None
            if len(start) < HEAD.size + 6:
                break
            length: int = HEAD.unpack_from(start)[1]
            number, messages = mcap.message_index(start[HEAD.size :])
            if not 6 <= length <= self._framing.data_end - position or messages * 16 != length - 6:
                return None
            counts[number] = messages
            position += HEAD.size + length
        return None

    def _index_counts(self, index: mcap.ChunkIndex) -> dict[int, int] | None:
        counts = {}
        for number, offset in index.message_indexes.items():
            start = self._framing.at(offset, HEAD.size + 6)
            if len(start) < HEAD.size + 6 or start[0] != Op.MESSAGE_INDEX:
                return None
            counts[number] = mcap.message_index(start[HEAD.size :])[1]
        return counts

    def _gap_counts(self, gap: Span) -> dict[int, int] | None:
        """Messages lost in bytes that are no record, where the summary knows the chunks that lay there."""
        if self._framing.summary is None or not self._framing.summary.chunks:
            return None
        lost: Counter[int] = Counter()
        for offset, index in self._framing.summary.chunks.items():
            if gap.offset <= offset < gap.end:
                if not index.message_indexes or (counts := self._index_counts(index)) is None:
                    return None
                lost.update(counts)
        return dict(lost)

    # Reading

    def _open_chunk(self, span: Span) -> tuple[bytes, str]:
        """The records of a chunk, and what is wrong with it; of the one that a file breaks off in, what is whole."""
        payload = self._framing.at(span.payload, span.length)
        try:
            if len(payload) < span.length:
                raise RecordError("it cannot be read")
            head = mcap.chunk_head(payload)
            if span.is_end:
                return mcap.unpacked(head, payload[head.start : head.start + head.size]), ""
            return mcap.chunk_records(head, payload), ""
        except RecordError as error:
            return b"", str(error)

    def _read_chunk(self, span: Span, topics: Collection[str]) -> Iterator[Stored | Loss]:
        indexed = None if span.is_end else self._indexed(span)
        if indexed is not None and indexed.keys() <= self._framing.channels.keys():
            # A chunk of other topics is passed over unread, unless channels may have to be learned from it.
            if self._framing.summary is not None and not any(self._topic(number) in topics for number in indexed):
                return
        data, problem = self._open_chunk(span)
        read: Counter[int] = Counter()
        for op, _, payload in mcap.records(data):
            if op != Op.MESSAGE:
                self._framing.take_quietly(op, payload)
                continue
            if len(payload) >= MESSAGE_HEAD.size:
                read[MESSAGE_HEAD.unpack_from(payload)[0]] += 1
            if (made := self._stored(payload, topics)) is not None:
                yield made
        if span.is_end:
            yield Loss(
                f"{self.path.name} ends in the middle of a chunk, at byte {self._framing.size}",
                None,
                is_end=True,
                is_cut=True,
            )
        elif problem or (indexed is not None and Counter(indexed) - read):
            problem = problem or "its records do not follow one another"
            lost = None if indexed is None else self._by_topic(Counter(indexed) - read)
            yield Loss(f"the chunk at byte {span.offset} of {self.path.name} is damaged: {problem}", lost)

    def _gap(self, span: Span) -> Loss:
        lost = self._gap_counts(span)
        counts = None if lost is None else self._by_topic(lost)
        if not span.is_end:
            return Loss(f"bytes {span.offset} to {span.end} of {self.path.name} are no record", counts)
        if self._framing.is_closed:
            return Loss(f"nothing can be made out after byte {span.offset} of {self.path.name}", counts, is_end=True)
        where = f"ends in the middle of a record, at byte {self._framing.size}" if span.length else "has no end record"
        return Loss(f"{self.path.name} {where}", counts, is_end=True, is_cut=True)

    def _by_topic(self, counts: Mapping[int, int]) -> dict[str, int]:
        by_topic: Counter[str] = Counter()
        for number, messages in counts.items():
            by_topic[self._topic(number) if number in self._framing.channels else ""] += messages
        return dict(by_topic)

    def _stored(self, payload: bytes, topics: Collection[str]) -> Stored | None:
        if len(payload) < MESSAGE_HEAD.size:
            return None
        number, _, stamp_ns, _ = MESSAGE_HEAD.unpack_from(payload)
        found = self._framing.channels.get(number)
        if found is None or found.topic not in topics:
            return None
        type_name = self._framing.types.get(found.schema, "")
        return Stored(found.topic, type_name, found.encoding, stamp_ns, payload[MESSAGE_HEAD.size :])
