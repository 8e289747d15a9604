"""Blocks run by ONNX Runtime, from a bundle; nothing of torch is imported.

A part is a graph of its own and a session of its own, whichever blocks stand beside it: a chain of satellites runs the
very operations, in the same order, that one satellite with all blocks would.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from satllm_ros.model.engines.bundle import EMBED, HEAD, Manifest, check_part, part_names
from satllm_ros.model.engines.engine import EngineName
from satllm_ros.model.errors import ModelError
from satllm_ros.model.measure import check_runs, run_seconds
from satllm_ros.model.parts import check_blocks

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PROVIDER = "CPUExecutionProvider"
# Of ONNX Runtime's own levels; its warnings are about graphs, not about flights.
_ERRORS_ONLY = 3


class OnnxEngine:
    """The graphs of a bundle on the CPU, in float32."""

    def __init__(self, folder: Path, manifest: Manifest, *, threads: int) -> None:
        self._folder, self._manifest = folder, manifest
        self.name = EngineName("onnx", "cpu", manifest.precision)
        self.threads = threads
        self._lock = threading.Lock()
        self._checked: dict[str, Path] = {}

    @property
    def layer_bytes(self) -> tuple[int, ...]:
        blocks, parts = self._manifest.blocks, self._manifest.parts
        return tuple(
            sum(parts[name].weight_bytes for name in part_names(layer, layer + 1, blocks)) for layer in range(blocks)
        )

    def open(self) -> None:
        import onnxruntime

        # Asks nothing of the network, and reports nothing to anybody.
        onnxruntime.disable_telemetry_events()

    def load(self, start: int, stop: int) -> OnnxBlocks:
        check_blocks(start, stop, self._manifest.blocks)
        names = part_names(start, stop, self._manifest.blocks)
        sessions = [self._session(name) for name in names]
        weight_bytes = sum(self._manifest.parts[name].weight_bytes for name in names)
        return OnnxBlocks(self._manifest, start, stop, dict(zip(names, sessions, strict=True)), weight_bytes)

    def _session(self, name: str) -> InferenceSession:
        from onnxruntime import InferenceSession, SessionOptions

        with self._lock:
            if name not in self._checked:
                self._checked[name] = check_part(self._folder, name, self._manifest)
            path = self._checked[name]
        options = SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = _ERRORS_ONLY
        # Threads that wait shall sleep: sessions take turns, and satellites share a computer.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # malloc here keeps its pages; an arena in every session would keep them a second time.
        options.enable_cpu_mem_arena = False
        try:
            return InferenceSession(str(path), options, providers=[PROVIDER])
        # Its exceptions have no common class of their own.
        except Exception as error:
            raise ModelError(f"{path}: ONNX Runtime refuses it: {' '.join(str(error).split())}") from error


class OnnxBlocks:
    """Sessions of parts that follow one another."""

    def __init__(
        self, manifest: Manifest, start: int, stop: int, sessions: dict[str, InferenceSession], memory_bytes: int
    ) -> None:
        self._start, self._stop = start, stop
        self._sessions: dict[str, InferenceSession] | None = sessions
        self.memory_bytes = memory_bytes
        self._activation_shape = (manifest.tokens, manifest.width)
        images = (3, manifest.image_height, manifest.image_width)
        self._input_shape = images if start == 0 else self._activation_shape

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        if x.shape[1:] != self._input_shape or x.dtype != np.float32:
            raise ModelError(
                f"stage ({self._start}, {self._stop}] was given {x.dtype} of shape {x.shape}, "
                f"expected float32 of shape (N, {', '.join(map(str, self._input_shape))})"
            )
        return _run(list(self._held.values()), x)

    def block_seconds(self, tiles: int, repeats: int, within_s: float) -> float:
        check_runs(tiles, repeats)
        blocks = [session for name, session in self._held.items() if name not in (EMBED, HEAD)]
        x = np.zeros((tiles, *self._activation_shape), dtype=np.float32)
        return run_seconds(lambda: _run(blocks, x), repeats, within_s) / (len(blocks) * tiles)

    def close(self) -> None:
        self._sessions = None

    @property
    def _held(self) -> dict[str, InferenceSession]:
        assert self._sessions is not None
        return self._sessions


def _run(sessions: list[InferenceSession], x: NDArray[np.float32]) -> NDArray[np.float32]:
    for session in sessions:
        (x,) = session.run(None, {"x": x})
    return x
