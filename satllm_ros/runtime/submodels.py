"""The sub-models a satellite has in memory: loaded and dropped on a worker, never inside a callback."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from satllm_ros.model.spec import ModelSpec
from satllm_ros.runtime.pipeline import pace

if TYPE_CHECKING:
    from satllm_ros.model.stage import Stage

# Enough tiles that a block is busy with arithmetic, enough runs that one hiccup does not count.
MEASURED_TILES = 8
MEASURED_RUNS = 5

Blocks = tuple[int, int]
OnDone = Callable[[Exception | None], None]


class MemoryBudgetError(ValueError):
    """A sub-model does not fit beside what is loaded."""


class FrameworkError(ValueError):
    """torch or timm cannot be imported here."""


class ExternalBlocks:
    """Stands in for `SubModels` where another process runs the blocks, one tile and block in `block_s` seconds."""

    ready = True
    memory_bytes = 0
    block_s: float | None = None

    def __init__(self, spec: ModelSpec, block_s: float) -> None:
        self.spec = spec
        self.real_block_s = block_s

    def load(self, start: int, stop: int, on_done: OnDone) -> None:
        """Nothing to load; `on_done(None)` is called at once."""
        on_done(None)

    def keep_only(self, needed: set[Blocks]) -> None:
        """Nothing to drop."""

    def prepare_images(self, images: np.ndarray) -> np.ndarray:
        """First stage's input, float32 (N, 3, H, W), from uint8 RGB (N, H, W, 3)."""
        mean, std = (np.asarray(values, dtype=np.float32) for values in (self.spec.mean, self.spec.std))
        scaled = (images.astype(np.float32) / np.float32(255.0) - mean) / std
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))

    def close(self) -> None:
        """Nothing to free."""


class SubModels:
    """Loads blocks (start, stop] of one checkpoint within a memory budget, and runs them.

    Parameters
    ----------
    memory_budget_bytes
        Bound on the bytes of parameters in memory at any time, sub-models being replaced included.
    block_s
        Emulated seconds one tile takes in one block; None runs at the computer's own speed.
    threads
        Threads of one inference.
    """

    def __init__(
        self, checkpoint: Path, spec: ModelSpec, *, memory_budget_bytes: int, block_s: float | None, threads: int
    ) -> None:
        self._checkpoint = checkpoint
        self.spec = spec
        self._budget_bytes = memory_budget_bytes
        self.block_s = block_s
        self._threads = threads
        self._loaded: dict[Blocks, Stage] = {}
        self._lock = threading.Lock()
        self._real_block_s: float | None = None
        self._imported = False
        self._import_failure: Exception | None = None
        self._closing = False
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._worker = threading.Thread(target=self._run_worker, name="loader", daemon=True)
        self._worker.start()
        self._work.put(self._import_framework)

    def load(self, start: int, stop: int, on_done: OnDone) -> None:
        """Load blocks (start, stop] in the background; `on_done(None or the error)` is called from the worker."""

        def task() -> None:
            failure = None
            try:
                self._load(start, stop)
            # Whatever it is, it is reported to the planner.
            except Exception as error:
                failure = error
            on_done(failure)

        self._work.put(task)

    @property
    def ready(self) -> bool:
        """Whether sub-models can be loaded and run.

        Raises
        ------
        FrameworkError
            If they never will be.
        """
        if self._import_failure is not None:
            raise FrameworkError(f"torch, timm or the model cannot be used: {self._import_failure}")
        return self._imported

    def keep_only(self, needed: set[Blocks]) -> None:
        """Drop every sub-model that no plan needs any more."""
        with self._lock:
            self._loaded = {blocks: stage for blocks, stage in self._loaded.items() if blocks in needed}

    @property
    def memory_bytes(self) -> int:
        """Bytes of parameters in memory."""
        with self._lock:
            return sum(stage.memory_bytes for stage in self._loaded.values())

    @property
    def real_block_s(self) -> float:
        """Smoothed seconds one tile really took in one block here; 0 under emulation before the first batch."""
        return self._real_block_s or 0.0

    def prepare_images(self, images: np.ndarray) -> Any:
        """First stage's input tensor, float32 (N, 3, H, W), from uint8 RGB (N, H, W, 3)."""
        from satllm_ros.model.stage import normalise

        return normalise(images, self.spec)

    def run(self, start: int, stop: int, inputs: Any, abandon: threading.Event) -> tuple[np.ndarray, float]:
        """Run blocks (start, stop]; returns the float32 output and the seconds it really took.

        With emulation on, returns blocks x block_s x tiles after it was called, sooner only once `abandon` is set.

        Raises
        ------
        KeyError
            If these blocks are not loaded.
        """
        import torch

        with self._lock:
            stage = self._loaded[(start, stop)]
        start_s = time.monotonic()
        with torch.inference_mode():
            tensor = torch.from_numpy(inputs) if isinstance(inputs, np.ndarray) else inputs
            output = stage(tensor).numpy()
        real_s = time.monotonic() - start_s
        tiles = len(tensor)
        self._note_real(real_s / ((stop - start) * tiles))
        if self.block_s is not None:
            pace(start_s, self.block_s * (stop - start) * tiles, abandon)
        return output, real_s

    def close(self) -> None:
        """Stop the loader and free all sub-models; what it has not begun to load is left."""
        self._closing = True
        self._work.put(None)
        if self._imported or self._import_failure is not None:
            # An import under way cannot be interrupted; it is left to the end of the process.
            self._worker.join()
        self.keep_only(set())

    def _note_real(self, block_s: float) -> None:
        # A moving average that forgets a single slow batch within ten.
        previous = block_s if self._real_block_s is None else self._real_block_s
        self._real_block_s = previous + 0.2 * (block_s - previous)

    def _load(self, start: int, stop: int) -> None:
        from satllm_ros.model.stage import load_stage

        with self._lock:
            if (start, stop) in self._loaded:
                return
        needed_bytes = sum(self.spec.layer_bytes[start:stop])
        taken_bytes = self.memory_bytes
        if needed_bytes + taken_bytes > self._budget_bytes:
            raise MemoryBudgetError(
                f"blocks ({start}, {stop}] need {needed_bytes:,} bytes,"
                f" {taken_bytes:,} of {self._budget_bytes:,} are taken"
            )
        stage = load_stage(self._checkpoint, start, stop)
        with self._lock:
            self._loaded[(start, stop)] = stage

    def _import_framework(self) -> None:
        # Importing torch takes seconds: done here once, while the rest of the graph comes up.
        try:
            import torch

            import satllm_ros.model.stage  # noqa: F401

            torch.set_num_threads(self._threads)
            if self.block_s is None:
                self._real_block_s = self._measure()
        # A build for another machine fails with more than ImportError.
        except Exception as error:
            self._import_failure = error
        else:
            self._imported = True

    def _measure(self) -> float:
        """Seconds one tile takes in a block from the middle of the model, for the planner's first plan."""
        from satllm_ros.model.measure import block_seconds
        from satllm_ros.model.stage import load_stage

        middle = self.spec.blocks // 2
        return block_seconds(load_stage(self._checkpoint, middle, middle + 1), MEASURED_TILES, MEASURED_RUNS)

    def _run_worker(self) -> None:
        while (task := self._work.get()) is not None and not self._closing:
            try:
                task()
            # Whoever is told of a load may fail; the loader goes on.
            except Exception:
                traceback.print_exc()
