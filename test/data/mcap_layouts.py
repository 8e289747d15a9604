"""MCAP files of every layout that recorders write, byte by byte: chunked or not, indexed or not, closed or not."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import lz4.frame
import zstandard

MAGIC = b"\x89MCAP0\r\n"
PACK = {"": bytes, "zstd": zstandard.ZstdCompressor().compress, "lz4": lz4.frame.compress}


@dataclass(frozen=True)
class Layout:
    """How a file is laid out; `chunk` messages a chunk, 0: none."""

    chunk: int = 3
    compression: str = ""
    has_summary: bool = True
    has_statistics: bool = True
    has_message_index: bool = True
    has_crc: bool = True


@dataclass(frozen=True)
class Message:
    topic: str
    stamp_ns: int
    data: bytes


@dataclass(frozen=True)
class Made:
    """A file, where its chunks begin and end, and where its data end."""

    content: bytes
    chunks: list[tuple[int, int]]
    data_end: int


def record(op: int, payload: bytes) -> bytes:
    return struct.pack("<BQ", op, len(payload)) + payload


def text(value: str) -> bytes:
    return struct.pack("<I", len(value.encode())) + value.encode()


def make(messages: Sequence[Message], types: dict[str, str], layout: Layout) -> Made:
    """A file of these messages; every topic has one channel, defined where its first chunk begins."""
    channels = {topic: number for number, topic in enumerate(types, start=1)}
    definitions = b"".join(
        record(3, struct.pack("<H", number) + text(types[topic]) + text("ros2msg") + text(""))
        + record(4, struct.pack("<HH", number, number) + text(topic) + text("cdr") + struct.pack("<I", 0))
        for topic, number in channels.items()
    )
    content = MAGIC + record(1, text("ros2") + text("test"))
    chunks: list[tuple[int, int]] = []
    indexes = b""
    groups = [
        [m for _, m in group]
        for _, group in groupby(enumerate(messages), key=lambda pair: pair[0] // (layout.chunk or len(messages)))
    ]
    for number, group in enumerate(groups):
        body = b"" if number else definitions
        places: dict[int, list[tuple[int, int]]] = {}
        for message in group:
            places.setdefault(channels[message.topic], []).append((message.stamp_ns, len(body)))
            head = struct.pack("<HIQQ", channels[message.topic], 0, message.stamp_ns, message.stamp_ns)
            body += record(5, head + message.data)
        if not layout.chunk:
            content += body
            continue
        stamps = [message.stamp_ns for message in group]
        packed = PACK[layout.compression](body)
        crc = zlib.crc32(body) if layout.has_crc else 0
        start = len(content)
        content += record(
            6,
            struct.pack("<QQQI", min(stamps), max(stamps), len(body), crc)
            + text(layout.compression)
            + struct.pack("<Q", len(packed))
            + packed,
        )
        end = len(content)
        chunks.append((start, end))
        offsets = b""
        for channel, pairs in places.items() if layout.has_message_index else ():
            offsets += struct.pack("<HQ", channel, len(content))
            content += record(
                7, struct.pack("<HI", channel, 16 * len(pairs)) + b"".join(struct.pack("<QQ", *pair) for pair in pairs)
            )
        indexes += record(
            8,
            struct.pack("<QQQQI", min(stamps), max(stamps), start, end - start, len(offsets))
            + offsets
            + struct.pack("<Q", len(content) - end)
            + text(layout.compression)
            + struct.pack("<QQ", len(packed), len(body)),
        )
    data_end = len(content)
    content += record(15, struct.pack("<I", 0))
    summary_start = 0
    if layout.has_summary:
        summary_start = len(content)
        content += definitions
        if layout.has_statistics:
            counts = b"".join(
                struct.pack("<HQ", number, sum(m.topic == topic for m in messages))
                for topic, number in channels.items()
            )
            stamps = [message.stamp_ns for message in messages] or [0]
            content += record(
                11,
                struct.pack("<QHIIII", len(messages), len(types), len(types), 0, 0, len(chunks))
                + struct.pack("<QQI", min(stamps), max(stamps), len(counts))
                + counts,
            )
        content += indexes
    content += struct.pack("<BQQQ", 2, 20, summary_start, 0)
    crc = zlib.crc32(content[summary_start:]) if summary_start else 0
    return Made(content + struct.pack("<I", crc) + MAGIC, chunks, data_end)
