"""The records of an MCAP file that a reader needs, from bytes (https://mcap.dev/spec)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import lz4.frame
import zstandard

MAGIC = b"\x89MCAP0\r\n"
# Opcode and length of what follows.
HEAD = struct.Struct("<BQ")
MESSAGE_HEAD = struct.Struct("<HIQQ")
_CHUNK_HEAD = struct.Struct("<QQQI")
_FOOTER = struct.Struct("<QQI")
FOOTER_BYTES = HEAD.size + _FOOTER.size + len(MAGIC)
# A claim beyond this is damage, not a chunk: recorders write megabytes.
LARGEST_CHUNK_BYTES = 4 << 30


class Op(IntEnum):
    """Opcodes."""

    HEADER = 0x01
    FOOTER = 0x02
    SCHEMA = 0x03
    CHANNEL = 0x04
    MESSAGE = 0x05
    CHUNK = 0x06
    MESSAGE_INDEX = 0x07
    CHUNK_INDEX = 0x08
    STATISTICS = 0x0B
    DATA_END = 0x0F


class RecordError(ValueError):
    """Bytes that are not the record they should be."""


@dataclass(frozen=True)
class Channel:
    """A topic as messages name it."""

    topic: str
    schema: int
    encoding: str


@dataclass(frozen=True)
class ChunkHead:
    """What stands before a chunk's records; `start` is where these begin in the chunk's payload, `size` their bytes."""

    first_ns: int
    last_ns: int
    uncompressed_bytes: int
    crc: int
    compression: str
    start: int
    size: int


@dataclass(frozen=True)
class ChunkIndex:
    """Where a chunk lies in the file, and the message index of each of its channels."""

    offset: int
    length: int
    message_indexes: dict[int, int]


@dataclass(frozen=True)
class Statistics:
    """Counts of a whole file; times in ns since 1970."""

    messages: int
    first_ns: int
    last_ns: int
    by_channel: dict[int, int]


def records(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(opcode, offset, payload) of each whole record, one after another; ends quietly where the next is not whole."""
    position = 0
    while position + HEAD.size <= len(data):
        op, length = HEAD.unpack_from(data, position)
        start = position + HEAD.size
        if op == 0 or start + length > len(data):
            return
        yield op, position, data[start : start + length]
        position = start + length


def is_plausible(op: int, length: int) -> bool:
    """Whether a record can begin like this."""
    least: dict[int, int] = {
        Op.MESSAGE: MESSAGE_HEAD.size,
        Op.CHUNK: _CHUNK_HEAD.size + 12,
        Op.MESSAGE_INDEX: 6,
        Op.CHANNEL: 16,
    }
    return (0 < op <= Op.DATA_END or op >= 0x80) and length >= least.get(op, 0)


def schema(payload: bytes) -> tuple[int, str]:
    """Identifier and type's name of a schema record."""
    (number,) = _unpack("<H", payload, 0)
    return number, _text(payload, 2)[0]


def channel(payload: bytes) -> tuple[int, Channel]:
    """Identifier and content of a channel record."""
    number, schema_number = _unpack("<HH", payload, 0)
    topic, position = _text(payload, 4)
    return number, Channel(topic, schema_number, _text(payload, position)[0])


def chunk_head(payload: bytes) -> ChunkHead:
    """Head of a chunk, from the first bytes of its payload."""
    first_ns, last_ns, size, crc = _unpack("<QQQI", payload, 0)
    compression, position = _text(payload, _CHUNK_HEAD.size)
    (stored,) = _unpack("<Q", payload, position)
    return ChunkHead(first_ns, last_ns, size, crc, compression, position + 8, stored)


def message_index(payload: bytes) -> tuple[int, int]:
    """Channel and number of messages of a message index, from its first 6 bytes."""
    number, size = _unpack("<HI", payload, 0)
    return number, size // 16


def chunk_index(payload: bytes) -> ChunkIndex:
    """Content of a chunk index record."""
    offset, length, size = _unpack("<QQI", payload, 16)
    if 36 + size > len(payload):
        raise RecordError("a chunk index is longer than its record")
    pairs = (_unpack("<HQ", payload, 36 + place) for place in range(0, size - size % 10, 10))
    return ChunkIndex(offset, length, {channel: position for channel, position in pairs})


def statistics(payload: bytes) -> Statistics:
    """Content of a statistics record."""
    # Messages; then schemas, channels, attachments, metadata and chunks, which nobody asks for here.
    (messages,) = _unpack("<Q", payload, 0)
    first_ns, last_ns, size = _unpack("<QQI", payload, 26)
    pairs = (_unpack("<HQ", payload, 46 + place) for place in range(0, size - size % 10, 10))
    return Statistics(messages, first_ns, last_ns, {channel: count for channel, count in pairs})


def footer(tail: bytes) -> tuple[int, int] | None:
    """Start and checksum (0: none) of the summary, from the last bytes of a file; None if it was never closed."""
    if len(tail) != FOOTER_BYTES or not tail.endswith(MAGIC):
        return None
    if HEAD.unpack_from(tail) != (Op.FOOTER, _FOOTER.size):
        return None
    start, _, crc = _FOOTER.unpack_from(tail, HEAD.size)
    return start, crc


def chunk_records(head: ChunkHead, payload: bytes) -> bytes:
    """The records of a whole chunk, unpacked.

    Raises
    ------
    RecordError
        If they cannot be unpacked or are not what was written.
    """
    if head.start + head.size > len(payload):
        raise RecordError("it is longer than its record")
    data = unpacked(head, payload[head.start : head.start + head.size])
    if len(data) != head.uncompressed_bytes:
        raise RecordError(f"it holds {len(data)} of {head.uncompressed_bytes} bytes")
    if head.crc and zlib.crc32(data) != head.crc:
        raise RecordError("its checksum is wrong")
    return data


def unpacked(head: ChunkHead, stored: bytes) -> bytes:
    """As much of a chunk's records as these bytes give, which may be cut off; raises RecordError for damage."""
    if head.uncompressed_bytes > LARGEST_CHUNK_BYTES:
        raise RecordError(f"it claims {head.uncompressed_bytes} bytes")
    try:
        if head.compression == "":
            return stored
        # Neither gives more than it was told, whatever a frame claims: a small one can unpack to terabytes.
        if head.compression == "lz4":
            content: bytes = lz4.frame.LZ4FrameDecompressor().decompress(stored, max_length=head.uncompressed_bytes)
            return content
        if head.compression == "zstd":
            return _zstd(stored, head.uncompressed_bytes)
    except (RuntimeError, EOFError, zstandard.ZstdError) as error:
        raise RecordError(f"it cannot be unpacked ({error})") from error
    raise RecordError(f"it is packed by {head.compression!r}; known are zstd and lz4")


def _zstd(stored: bytes, limit: int) -> bytes:
    pieces: list[bytes] = []
    left = limit
    with zstandard.ZstdDecompressor().stream_reader(stored, read_across_frames=True) as reader:
        # In pieces, so that what precedes a cut is kept.
        while left > 0 and (piece := reader.read(min(left, 1 << 20))):
            pieces.append(piece)
            left -= len(piece)
    return b"".join(pieces)


def _unpack(layout: str, data: bytes, position: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, data, position)
    except struct.error as error:
        raise RecordError(f"a record of {len(data)} bytes is too short") from error


def _text(data: bytes, position: int) -> tuple[str, int]:
    (length,) = _unpack("<I", data, position)
    end = position + 4 + length
    if end > len(data):
        raise RecordError("a text is longer than its record")
    return data[position + 4 : end].decode("utf-8", "replace"), end
