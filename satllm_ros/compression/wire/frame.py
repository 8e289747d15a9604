"""The frame: header, lengths, sections, CRC-32; docs/wire-format.md describes it byte by byte."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from satllm_ros.compression.wire.errors import CodecSettingError, EncodeError, FrameError, FrameFault
from satllm_ros.compression.wire.setting import Codec, CodecSetting

MAGIC = b"SLLM"
VERSION = 1
DTYPE_FLOAT32 = 0

# magic, version, codec, dtype, bits, flags, cut, N, S, D, keep ratio, artefact id, prefix tokens, reserved,
# replaced values, frame bytes, prefix section bytes
_HEADER = struct.Struct("<4sBBBBHHIIIf8sHHIII")
_PREFIX_BYTES = struct.Struct("<I")
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size
CRC_BYTES = _CRC.size
_MAX_U32 = 2**32 - 1


@dataclass(frozen=True)
class FrameHeader:
    """What a frame says of itself.

    Attributes
    ----------
    shape
        (N, S, D) of the activation.
    prefix_tokens
        P, how many of the S tokens of each image are in the prefix section.
    artefact_id
        16 hexadecimal digits.
    replaced
        How many NaN or infinite values of the activation the encoder replaced.
    """

    setting: CodecSetting
    cut: int
    shape: tuple[int, int, int]
    prefix_tokens: int
    artefact_id: str
    replaced: int


@dataclass(frozen=True)
class Sections:
    """The sections of a frame, as views into it."""

    prefix: memoryview
    chunks: list[memoryview]


def pack_frame(header: FrameHeader, prefix: bytes, chunks: Sequence[bytes | memoryview]) -> bytes:
    """Put sections into a frame.

    Raises
    ------
    EncodeError
        If a number does not fit its field.
    """
    images, tokens, width = header.shape
    lengths = struct.pack(f"<{images}I", *(len(chunk) for chunk in chunks))
    frame_bytes = HEADER_BYTES + len(lengths) + len(prefix) + sum(map(len, chunks)) + CRC_BYTES
    if not 1 <= header.cut < 2**16:
        raise EncodeError(f"cut {header.cut} is out of range; allowed are 1 to 65535")
    if frame_bytes > _MAX_U32:
        raise EncodeError(f"a frame of {frame_bytes} bytes exceeds the 2^32 - 1 that the format allows")
    packed = _HEADER.pack(
        MAGIC,
        VERSION,
        header.setting.codec,
        DTYPE_FLOAT32,
        header.setting.bits,
        0,
        header.cut,
        images,
        tokens,
        width,
        header.setting.keep_ratio,
        bytes.fromhex(header.artefact_id),
        header.prefix_tokens,
        0,
        header.replaced,
        frame_bytes,
        len(prefix),
    )
    parts = [packed, lengths, prefix, *chunks]
    crc32 = 0
    for part in parts:
        crc32 = zlib.crc32(part, crc32)
    return b"".join([*parts, _CRC.pack(crc32)])


def read_header(frame: memoryview, *, max_elements: int) -> FrameHeader:
    """Check a frame's length, CRC-32 and header; nothing of a declared size is made.

    Raises
    ------
    FrameError
        With the fault: the first one met in the order of docs/wire-format.md.
    """
    if len(frame) < HEADER_BYTES + CRC_BYTES:
        shortest = HEADER_BYTES + CRC_BYTES
        raise FrameError(FrameFault.LENGTH, f"{len(frame)} bytes are no frame; the shortest has {shortest}")
    (
        magic,
        version,
        codec,
        dtype,
        bits,
        flags,
        cut,
        images,
        tokens,
        width,
        keep_ratio,
        artefact_id,
        prefix_tokens,
        reserved,
        replaced,
        frame_bytes,
        _,
    ) = _HEADER.unpack_from(frame)
    if magic != MAGIC:
        raise FrameError(FrameFault.MAGIC, f"frame starts with {magic!r}, must be {MAGIC!r}")
    if version != VERSION:
        raise FrameError(FrameFault.VERSION, f"frame format version {version} is unknown, only {VERSION} is read")
    if frame_bytes != len(frame):
        raise FrameError(FrameFault.LENGTH, f"frame of {len(frame)} bytes says it has {frame_bytes}")
    crc32 = zlib.crc32(frame[:-CRC_BYTES])
    if _CRC.unpack_from(frame, len(frame) - CRC_BYTES)[0] != crc32:
        raise FrameError(FrameFault.CHECKSUM, f"frame's CRC-32 is not {crc32:08x}")
    if flags or reserved:
        raise FrameError(FrameFault.FLAGS, f"flags {flags:#06x} and reserved {reserved:#06x} must be 0")
    if dtype != DTYPE_FLOAT32:
        raise FrameError(FrameFault.DTYPE, f"element type {dtype} is unknown, only {DTYPE_FLOAT32} (float32) is read")
    setting = _setting(codec, keep_ratio, bits)
    if cut == 0:
        raise FrameError(FrameFault.CUT, "frame is of cut 0, before which no block has run")
    if not 0 < images * tokens * width or prefix_tokens >= tokens:
        raise FrameError(
            FrameFault.SHAPE,
            f"shape ({images}, {tokens}, {width}) with {prefix_tokens} prefix tokens has no patch token",
        )
    if images * tokens * width > max_elements:
        raise FrameError(
            FrameFault.TOO_LARGE,
            f"shape ({images}, {tokens}, {width}) has more than the {max_elements} elements allowed",
        )
    return FrameHeader(setting, cut, (images, tokens, width), prefix_tokens, artefact_id.hex(), replaced)


def split_sections(frame: memoryview, header: FrameHeader) -> Sections:
    """Find the sections of a frame whose header was read from it.

    Raises
    ------
    FrameError
        With fault SECTIONS if their lengths do not add up to the frame's.
    """
    images = header.shape[0]
    (prefix_bytes,) = _PREFIX_BYTES.unpack_from(frame, HEADER_BYTES - _PREFIX_BYTES.size)
    start = HEADER_BYTES + 4 * images
    stop = len(frame) - CRC_BYTES
    if start + prefix_bytes > stop:
        raise FrameError(
            FrameFault.SECTIONS,
            f"{images} chunk lengths and {prefix_bytes} prefix bytes do not fit a frame of {len(frame)}",
        )
    lengths = struct.unpack_from(f"<{images}I", frame, HEADER_BYTES)
    if start + prefix_bytes + sum(lengths) != stop:
        raise FrameError(
            FrameFault.SECTIONS,
            f"prefix section of {prefix_bytes} and chunks of {sum(lengths)} bytes do not fill {stop - start}",
        )
    chunks = []
    offset = start + prefix_bytes
    for length in lengths:
        chunks.append(frame[offset : offset + length])
        offset += length
    return Sections(frame[start : start + prefix_bytes], chunks)


def _setting(codec: int, keep_ratio: float, bits: int) -> CodecSetting:
    if codec not in Codec.__members__.values():
        raise FrameError(FrameFault.CODEC, f"codec number {codec} is unknown")
    try:
        setting = CodecSetting(Codec(codec), keep_ratio, bits)
    except CodecSettingError as error:
        raise FrameError(FrameFault.SETTING, str(error)) from None
    if setting.bits != bits:
        raise FrameError(FrameFault.SETTING, f"{bits} bits are not what {setting} frames say: {setting.bits}")
    return setting
