"""The sub-models a satellite has in memory: loaded and dropped on a worker, never inside a callback."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from satllm_ros.model.engines.engine import Engine, EngineName, LoadedBlocks
from satllm_ros.model.first_blocks import MEASURED_BYTES, middle_blocks
from satllm_ros.model.normalization import normalize
from satllm_ros.model.spec import ModelSpec
from satllm_ros.satellite.blas_threads import limit_blas
from satllm_ros.satellite.engine_time import engine_s
from satllm_ros.satellite.memory import give_back_pages
from satllm_ros.satellite.pipeline import pace

# Enough runs that one hiccup does not count; as many of them as fit into the time.
MEASURED_RUNS, MEASURED_S = 5, 10.0

Blocks = tuple[int, int]
OnDone = Callable[[Exception | None], None]


class MemoryBudgetError(ValueError):
    """A sub-model does not fit beside what is loaded."""


class NotLoadedError(LookupError):
    """A sub-model is not in memory, or no longer."""


class FrameworkError(ValueError):
    """What the engine computes with cannot be imported here."""


class SubModels:
    """Has an engine load blocks (start, stop] of one model within a memory budget, and run them.

    Parameters
    ----------
    engine
        Computes; it is opened on the worker.
    memory_budget_bytes
        Bound on the bytes of parameters in memory at any time, sub-models being replaced included; they are counted
        as the engine states them, `layer_bytes` of every block.
    block_s
        Emulated seconds one tile takes in one block; None runs at the computer's own speed.
    batch_tiles, share
        Tiles of a batch, and blocks that a plan may well give this satellite: at its own speed, such a batch through
        such blocks is measured at the start, in the middle of the model.
    """

    def __init__(
        self,
        engine: Engine,
        spec: ModelSpec,
        *,
        memory_budget_bytes: int,
        block_s: float | None,
        batch_tiles: int,
        share: int,
    ) -> None:
        self._engine = engine
        self.spec = spec
        self.layer_bytes = engine.layer_bytes
        self.budget_bytes = memory_budget_bytes
        self.block_s = block_s
        self._batch_tiles, self._share = batch_tiles, share
        self._loaded: dict[Blocks, LoadedBlocks] = {}
        # Let go of by whoever asked for them, and perhaps running still.
        self._dropped: list[LoadedBlocks] = []
        # Runs under way, by blocks: what is dropped meanwhile stays in memory until they end.
        self._running: Counter[Blocks] = Counter()
        self._lock = threading.Lock()
        self._run_ended = threading.Condition(self._lock)
        self._real_block_s: float | None = None
        self._is_open = False
        self._open_failure: Exception | None = None
        self._closing = False
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._worker = threading.Thread(target=self._run_worker, name="loader", daemon=True)
        self._worker.start()
        self._work.put(self._open_engine)

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
    def engine_name(self) -> EngineName:
        """What computes."""
        return self._engine.name

    @property
    def ready(self) -> bool:
        """Whether sub-models can be loaded and run.

        Raises
        ------
        FrameworkError
            If they never will be.
        """
        if self._open_failure is not None:
            raise FrameworkError(f"{self.engine_name.kind} or the model cannot be used: {self._open_failure}")
        return self._is_open

    def drop(self, start: int, stop: int) -> None:
        """Forget blocks (start, stop]; a run of them that is under way ends first, and a load that follows waits."""
        with self._lock:
            self._drop((start, stop))
        # After the run that may still need it, and on the worker: it takes longer than a callback may.
        self._work.put(self._free_dropped)

    @property
    def memory_bytes(self) -> int:
        """Bytes of parameters in memory."""
        with self._lock:
            return sum(stage.memory_bytes for stage in self._loaded.values())

    @property
    def real_block_s(self) -> float:
        """Smoothed seconds one tile really took in one block here; 0 under emulation before the first batch."""
        return self._real_block_s or 0.0

    def prepare_images(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """First stage's input, float32 (N, 3, H, W), from uint8 RGB (N, H, W, 3)."""
        return normalize(images, self.spec)

    def run(
        self, start: int, stop: int, inputs: NDArray[np.float32], abandon: threading.Event
    ) -> tuple[NDArray[np.float32], float]:
        """Run blocks (start, stop]; returns the float32 output and the seconds inference itself took (`engine_s`).

        With emulation on, returns blocks x block_s x tiles after it was called, sooner only once `abandon` is set.

        Raises
        ------
        NotLoadedError
            If these blocks are not in memory.
        """
        start_s = time.monotonic()
        begun_s = engine_s()
        output = self._forward((start, stop), inputs)
        real_s = engine_s() - begun_s
        tiles = len(inputs)
        self._note_real(real_s / ((stop - start) * tiles))
        if self.block_s is not None:
            pace(start_s, self.block_s * (stop - start) * tiles, abandon)
        return output, real_s

    def close(self) -> None:
        """Stop the loader and free all sub-models; what it has not begun to load is left."""
        self._closing = True
        self._work.put(None)
        if self._is_open or self._open_failure is not None:
            # An import under way cannot be interrupted; it is left to the end of the process.
            self._worker.join()
        with self._lock:
            for blocks in list(self._loaded):
                self._drop(blocks)
        self._free_dropped()

    def _drop(self, blocks: Blocks) -> None:
        """Under the lock."""
        if (dropped := self._loaded.pop(blocks, None)) is not None:
            self._dropped.append(dropped)

    def _forward(self, blocks: Blocks, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        with self._lock:
            stage = self._loaded.get(blocks)
            if stage is None:
                raise NotLoadedError(f"blocks ({blocks[0]}, {blocks[1]}] are not in memory")
            self._running[blocks] += 1
        try:
            return stage(inputs)
        finally:
            # Let go of before anybody is told: whoever waits wants its memory.
            del stage
            with self._lock:
                self._running[blocks] -= 1
                self._run_ended.notify_all()

    def _free_dropped(self) -> None:
        """Wait until nothing that was dropped is running, then give its pages back."""

        def all_ended() -> bool:
            return not any(count for blocks, count in self._running.items() if blocks not in self._loaded)

        with self._lock:
            self._run_ended.wait_for(all_ended)
            dropped, self._dropped = self._dropped, []
        for stage in dropped:
            stage.close()
        give_back_pages()

    def _note_real(self, block_s: float) -> None:
        # A moving average that forgets a single slow batch within ten.
        previous = block_s if self._real_block_s is None else self._real_block_s
        self._real_block_s = previous + 0.2 * (block_s - previous)

    def _load(self, start: int, stop: int) -> None:
        with self._lock:
            if (start, stop) in self._loaded:
                return
            taken_bytes = sum(self._size(*blocks) for blocks in self._loaded)
        needed_bytes = self._size(start, stop)
        # The protocol asks only for what fits: this holds even if it errs.
        if needed_bytes + taken_bytes > self.budget_bytes:
            raise MemoryBudgetError(
                f"blocks ({start}, {stop}] need {needed_bytes:,} bytes,"
                f" {taken_bytes:,} of {self.budget_bytes:,} are taken"
            )
        stage = self._engine.load(start, stop)
        with self._lock:
            self._loaded[(start, stop)] = stage
        # What loading took besides.
        give_back_pages()

    def _size(self, start: int, stop: int) -> int:
        return sum(self.layer_bytes[start:stop])

    def _open_engine(self) -> None:
        # Its imports take seconds: done here once, while the rest of the graph comes up.
        try:
            self._engine.open()
            # Again: it may have brought a BLAS of its own.
            limit_blas(self._engine.threads)
            if self.block_s is None:
                self._real_block_s = self._measure()
        # A build for another machine fails with more than ImportError.
        except Exception as error:
            self._open_failure = error
        else:
            self._is_open = True

    def _measure(self) -> float:
        """Seconds one tile takes in a block, for the planner's first plan."""
        start, stop = middle_blocks(self.layer_bytes, self._share, min(MEASURED_BYTES, self.budget_bytes))
        stage = self._engine.load(start, stop)
        block_s = stage.block_seconds(self._batch_tiles, MEASURED_RUNS, MEASURED_S)
        stage.close()
        give_back_pages()
        return block_s

    def _run_worker(self) -> None:
        while (task := self._work.get()) is not None and not self._closing:
            try:
                task()
            # Whoever is told of a load may fail; the loader goes on.
            except Exception:
                traceback.print_exc()
