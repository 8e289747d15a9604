"""The C decoder behind the interface of the Python one; as a script, corrupted frames through both.

`python c_decoder.py LIBRARY FRAMES` needs no pytest, so that it can run under a sanitizer.
"""

import ctypes
import sys
from pathlib import Path
from typing import Any

import numpy as np
from corruption import MAX_ELEMENTS, corrupt_and_decode, honest_frames

from satllm_ros.compression.coding.entropy import decompress
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tables.coefficient_tables import CoefficientTables
from satllm_ros.compression.tables.cut_tables import CutTables
from satllm_ros.compression.tables.scales import CutScales
from satllm_ros.compression.wire.errors import FrameError, FrameFault

# The enumeration of codec.h, in its order.
FAULTS = [
    None,
    *(FrameFault.LENGTH, FrameFault.MAGIC, FrameFault.VERSION, FrameFault.CHECKSUM, FrameFault.FLAGS),
    *(FrameFault.DTYPE, FrameFault.CODEC, FrameFault.SETTING, FrameFault.CUT, FrameFault.SHAPE),
    *(FrameFault.TOO_LARGE, FrameFault.ARTEFACT, FrameFault.SECTIONS, FrameFault.PAYLOAD, FrameFault.NOT_FINITE),
]
Inflate = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t
)


class Tables(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("tokens", "coefficients", "prefix_coefficients")]
    _fields_ += [
        (name, ctypes.c_void_p)
        for name in (
            *("token_mean", "spread", "mask_order", "inverse", "inverse_scale", "token_transform", "std"),
            *("prefix_inverse", "prefix_inverse_scale", "prefix_std"),
        )
    ]


class Cut(ctypes.Structure):
    _fields_ = [("cut", ctypes.c_uint16)]
    _fields_ += [(name, ctypes.c_void_p) for name in ("mean", "step", "prefix_mean", "prefix_step")]
    _fields_ += [("tables", ctypes.POINTER(Tables))]


class Held(ctypes.Structure):
    _fields_ = [
        ("id", ctypes.c_uint8 * 8),
        ("prefix_tokens", ctypes.c_uint32),
        ("width", ctypes.c_uint32),
        ("cuts", ctypes.POINTER(Cut)),
        ("cut_count", ctypes.c_size_t),
        ("frequencies", ctypes.c_void_p),
        ("shifts", ctypes.c_void_p),
    ]


class Frame(ctypes.Structure):
    _fields_ = [("codec", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("cut", ctypes.c_uint16)]
    _fields_ += [(name, ctypes.c_uint32) for name in ("images", "tokens", "width", "replaced")]


def _inflate(context: int | None, out: int, out_bytes: int, given: int, given_bytes: int) -> int:
    try:
        content = decompress(memoryview(ctypes.string_at(given, given_bytes)), out_bytes)
    except FrameError:
        return -1
    ctypes.memmove(out, content, out_bytes)
    return 0


inflate_in_python = Inflate(_inflate)


class CDecoder:
    """Decodes with a compiled library; `inflate` is a C function pointer, by default Python's zstd."""

    def __init__(self, library: Path, inflate: Any = inflate_in_python, context: int | None = None) -> None:
        self._library = ctypes.CDLL(str(library))
        self._library.satllm_scratch_bytes.restype = ctypes.c_size_t
        self._inflate, self._context = inflate, ctypes.c_void_p(context)
        self._held: dict[int, tuple] = {}

    def __call__(self, wire: bytes, artefacts: Artefacts, max_elements: int = MAX_ELEMENTS) -> np.ndarray | FrameFault:
        held = self._hold(artefacts)
        # Of exactly the size asked for, so that a sanitizer sees the first byte beyond it.
        scratch_bytes = self._library.satllm_scratch_bytes(ctypes.byref(held), ctypes.c_size_t(max_elements))
        scratch = np.empty(scratch_bytes, np.uint8)
        out = np.empty(max_elements, np.float32)
        received = np.frombuffer(wire, np.uint8).copy()
        frame = Frame()
        fault = self._library.satllm_decode(
            _at(received), ctypes.c_size_t(received.size), ctypes.byref(held), _at(out), ctypes.c_size_t(max_elements),
            _at(scratch), ctypes.c_size_t(scratch_bytes), self._inflate, self._context, ctypes.byref(frame),
        )  # fmt: skip
        if fault:
            return FAULTS[fault]
        shape = frame.images, frame.tokens, frame.width
        return out[: shape[0] * shape[1] * shape[2]].reshape(shape)

    def _hold(self, artefacts: Artefacts) -> Held:
        if id(artefacts) not in self._held:
            cuts = (Cut * len(artefacts.scales))()
            for cut, (number, scales) in zip(cuts, artefacts.scales.items(), strict=True):
                cut.cut = number
                _point(cut, scales)
                if number in artefacts.tables:
                    tables = artefacts.tables[number]
                    made = Tables(tables.tokens, len(tables.inverse), len(tables.prefix_inverse))
                    _point(made, tables)
                    cut.tables = ctypes.pointer(made)
            held = Held(
                (ctypes.c_uint8 * 8)(*bytes.fromhex(artefacts.artefact_id)),
                artefacts.prefix_tokens,
                artefacts.width,
                cuts,
                len(cuts),
            )
            if artefacts.coefficients is not None:
                _point(held, artefacts.coefficients)
            # The artefacts too: the pointers are into their arrays.
            self._held[id(artefacts)] = (held, artefacts)
        return self._held[id(artefacts)][0]


def _at(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _point(structure: ctypes.Structure, owner: CutScales | CutTables | CoefficientTables) -> None:
    names = {name for name, _ in structure._fields_}
    for name, array in owner.arrays().items():
        if name in names:
            setattr(structure, name, array.ctypes.data)


def main() -> None:
    from made_models import make_full_artefacts

    sizes = [(1, 8, 9), (0, 5, 4), (3, 16, 25)]
    models = [make_full_artefacts(prefix_tokens=p, width=d, patches=t) for p, d, t in sizes]
    honest = honest_frames(models)
    decoder = CDecoder(Path(sys.argv[1]))
    for model, frame in honest:
        assert isinstance(decoder(frame, model), np.ndarray)
    corrupt_and_decode(int(sys.argv[2]), honest, seed=1, second=decoder)
    print("agreed")


if __name__ == "__main__":
    main()
