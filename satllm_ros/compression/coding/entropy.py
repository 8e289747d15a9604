"""The entropy stage: one zstd frame per section, decoded into a size known beforehand."""

import threading

import zstandard

from satllm_ros.compression.wire.errors import FrameError, FrameFault

# Negative levels switch zstd's Huffman stage off and would save nothing on quantized activations.
LEVEL = 1
# Level 1 itself uses at most 512 KiB; a forged frame may ask for gigabytes.
MAX_WINDOW_BYTES = 1 << 20


class _Contexts(threading.local):
    """zstd contexts are costly to make and must not be shared between threads."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True, write_checksum=False)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


def compress(symbols: bytes | memoryview) -> bytes:
    """Compress one section."""
    return _contexts.compressor.compress(symbols)


def decompress(section: memoryview, expected_bytes: int) -> bytes:
    """Decompress one section that must hold exactly `expected_bytes`.

    Nothing is allocated for a section that declares another size or a larger window than level 1 makes.

    Raises
    ------
    FrameError
        With fault PAYLOAD.
    """
    try:
        declared = zstandard.get_frame_parameters(section)
        if declared.content_size != expected_bytes:
            raise FrameError(FrameFault.PAYLOAD, f"a section does not declare the {expected_bytes} bytes it must hold")
        if declared.window_size > MAX_WINDOW_BYTES:
            raise FrameError(
                FrameFault.PAYLOAD,
                f"a section asks for a window of {declared.window_size} bytes, more than {MAX_WINDOW_BYTES}",
            )
        return _contexts.decompressor.decompress(section, max_output_size=expected_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FrameError(FrameFault.PAYLOAD, f"a section is not a zstd frame of ours: {error}") from None
