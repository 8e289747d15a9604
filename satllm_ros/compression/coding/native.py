"""The compiled inner loops, where they were built.

CMake puts the library beside this file. It is called through ctypes, which lets other threads run meanwhile.
"""

import ctypes
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.coding import rans
from satllm_ros.compression.coding.mask_choice import MaskChoice
from satllm_ros.compression.coding.rans import SymbolTables
from satllm_ros.compression.wire.errors import FrameError, FrameFault

LIBRARY = Path(__file__).with_name("libsatllm_codec.so")
# A symbol takes at most two words: one for its digit, one for its low bits.
_MOST_BYTES_PER_SYMBOL = 4


class CompiledLoops:
    """See `backend.Loops`; `library` is loaded and knows the types that its functions return."""

    name = "compiled"

    def __init__(self, library: Any) -> None:
        self._library = library

    def encode(self, symbols: NDArray[np.int32], classes: NDArray[np.uint8], tables: SymbolTables) -> list[bytes]:
        starts = _starts(tables)
        room = rans.STATE_BYTES + _MOST_BYTES_PER_SYMBOL * symbols.shape[1]
        buffer = np.empty(room, np.uint8)
        streams = []
        for row in symbols:
            row = np.ascontiguousarray(row, np.int32)
            used = self._library.satllm_rans_encode(
                *_pointers(row, classes), ctypes.c_size_t(row.size), *_pointers(starts, buffer), ctypes.c_size_t(room)
            )
            streams.append(buffer[:used].tobytes())
        return streams

    def decode(self, sections: list[memoryview], classes: NDArray[np.uint8], tables: SymbolTables) -> NDArray[np.int32]:
        starts = _starts(tables)
        symbols = np.empty((len(sections), classes.size), np.int32)
        for row, section in zip(symbols, sections, strict=True):
            stream = np.frombuffer(section, np.uint8)
            wrong = self._library.satllm_rans_decode(
                *_pointers(stream), ctypes.c_size_t(stream.size), *_pointers(classes), ctypes.c_size_t(classes.size),
                *_pointers(starts, row),
            )  # fmt: skip
            if wrong:
                raise FrameError(FrameFault.PAYLOAD, f"{stream.size} bytes are no stream of {classes.size} symbols")
        return symbols

    def gather(self, image: NDArray[np.float32], choice: MaskChoice, symbols: NDArray[np.uint8]) -> int:
        image = np.ascontiguousarray(image)
        held = _held(choice)
        lost: int = self._library.satllm_mask_gather(
            *_pointers(image), held.places, held.sent, held.mean, held.inverse_step, held.largest, *_pointers(symbols)
        )
        return lost

    def scatter(self, symbols: NDArray[np.uint8], choice: MaskChoice, image: NDArray[np.float32]) -> None:
        # Of one piece already, wherever an activation is decoded into a buffer of its own.
        whole = image if image.flags.c_contiguous else np.empty(image.shape, np.float32)
        held = _held(choice)
        self._library.satllm_mask_scatter(
            *_pointers(symbols), held.places, held.sent, held.mean, held.step, held.fill, held.elements,
            *_pointers(whole),
        )  # fmt: skip
        if whole is not image:
            image[:] = whole


def load(path: Path) -> CompiledLoops | None:
    """The loops of a library, None if there is none."""
    try:
        found = ctypes.CDLL(str(path))
    except OSError:
        return None
    found.satllm_rans_encode.restype = ctypes.c_size_t
    found.satllm_mask_gather.restype = ctypes.c_size_t
    return CompiledLoops(found)


class _Held(NamedTuple):
    """A choice as the library takes it; making these numbers costs more than a small image."""

    places: ctypes.c_void_p
    mean: ctypes.c_void_p
    step: ctypes.c_void_p
    inverse_step: ctypes.c_void_p
    fill: ctypes.c_void_p
    sent: ctypes.c_size_t
    elements: ctypes.c_size_t
    largest: ctypes.c_float


# Keeps the choices, whose memory the pointers are into, as long as the pointers.
@lru_cache(maxsize=32)
def _held(choice: MaskChoice) -> _Held:
    places, mean, step, inverse_step, fill = _pointers(
        choice.places, choice.mean, choice.step, choice.inverse_step, choice.fill
    )
    return _Held(
        places,
        mean,
        step,
        inverse_step,
        fill,
        ctypes.c_size_t(choice.places.size),
        ctypes.c_size_t(choice.fill.size),
        ctypes.c_float(choice.largest),
    )


@lru_cache(maxsize=16)
def _starts(tables: SymbolTables) -> NDArray[np.uint16]:
    """Starts (12, 128), the end of each row's last digit included, as the library reads them."""
    ends = tables.starts[:, -1:] + tables.frequencies[:, -1:]
    return np.ascontiguousarray(np.hstack([tables.starts, ends]), np.uint16)


def _pointers(*arrays: NDArray[Any]) -> list[ctypes.c_void_p]:
    return [ctypes.c_void_p(array.ctypes.data) for array in arrays]
