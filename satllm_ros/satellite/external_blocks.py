"""Blocks that a stage written by someone else holds and runs.

It is told what to hold, all of it each time, and says how far it is; so it may come late, and orders may be repeated.
It is trusted as long as it is heard and does what it was told. What goes wrong for good is its `trouble`: the satellite
then ends this life, since whatever the stage held is in doubt, and begins another one when there is a stage again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from satllm_ros.model.spec import ModelSpec
from satllm_ros.satellite.submodels import Blocks, OnDone

# Wrong or missing results in a row that make a stage one that has failed: one may be bad luck.
FAULTS_IN_A_ROW = 3
# Characters of a stage's own words that are shown.
SHOWN = 200
# As our own stage's: a moving average that forgets a single slow batch within ten.
WEIGHT = 0.2


class BlocksState(IntEnum):
    """How far a stage is with a sub-model."""

    LOADING = 0
    READY = 1
    FAILED = 2


@dataclass(frozen=True)
class StageOrder:
    """Sub-models that a stage shall hold; `number` counts orders within a life of the satellite."""

    boot_id: int
    number: int
    model_id: str
    blocks: tuple[Blocks, ...]


@dataclass(frozen=True)
class StageAnswer:
    """What a stage makes of an order: state and reason of each sub-model, in its own words."""

    boot_id: int
    number: int
    model_id: str
    blocks: dict[Blocks, tuple[int, str]]


@dataclass
class _Wanted:
    """A sub-model that the stage was told to hold, since which order, and who waits for it."""

    number: int
    waiting: list[OnDone] = field(default_factory=list)
    is_ready: bool = False


class ExternalBlocks:
    """Stands in for `SubModels` where another process runs the blocks. Safe to use from any thread.

    Parameters
    ----------
    block_s
        Seconds that one tile takes in one block, until a batch has been measured.
    boot_id
        Of this life of the satellite.
    send
        Takes each order; it is called on the thread that changed it.
    """

    ready = True
    memory_bytes = 0
    block_s: float | None = None
    # Their memory is somebody else's to bound.
    budget_bytes = 0

    def __init__(self, spec: ModelSpec, block_s: float, boot_id: int, send: Callable[[StageOrder], None]) -> None:
        self.spec = spec
        self.layer_bytes = (0,) * spec.blocks
        self.real_block_s = block_s
        self._boot_id, self._send = boot_id, send
        self._lock = threading.Lock()
        self._number = 0
        self._wanted: dict[Blocks, _Wanted] = {}
        self._is_measured = False
        self._faults = 0
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why the stage cannot be used any more, in words; empty while it can."""
        return self._trouble

    @property
    def order(self) -> StageOrder:
        """The newest order."""
        with self._lock:
            return self._order()

    def load(self, start: int, stop: int, on_done: OnDone) -> None:
        """Have blocks (start, stop] held; `on_done(None)` is called when the stage has said so.

        If it cannot, that is `trouble`: nobody is called then.
        """
        with self._lock:
            wanted = self._wanted.get((start, stop))
            if wanted is not None and wanted.is_ready:
                told = None
            elif wanted is not None:
                wanted.waiting.append(on_done)
                return
            else:
                self._number += 1
                self._wanted[start, stop] = _Wanted(self._number, [on_done])
                told = self._order()
        if told is None:
            on_done(None)
        else:
            self._send(told)

    def drop(self, start: int, stop: int) -> None:
        """Blocks (start, stop] need not be held any more."""
        with self._lock:
            if self._wanted.pop((start, stop), None) is None:
                return
            self._number += 1
            told = self._order()
        self._send(told)

    def on_answer(self, answer: StageAnswer) -> None:
        """The stage has said how far it is."""
        done: list[OnDone] = []
        with self._lock:
            if answer.boot_id != self._boot_id or answer.number > self._number:
                # To a satellite that is no more, or to nothing that was said.
                return
            if answer.model_id != self.spec.model_id:
                self._fail(f"it runs model {_shown(answer.model_id)}, this graph {self.spec.model_id}")
            for blocks, wanted in self._wanted.items():
                if wanted.number > answer.number:
                    continue
                state, reason = answer.blocks.get(blocks, (None, ""))
                if state == BlocksState.FAILED:
                    self._fail(f"it cannot hold blocks ({blocks[0]}, {blocks[1]}]: {_shown(reason)}")
                elif wanted.is_ready and state != BlocksState.READY:
                    self._fail(f"it does not hold blocks ({blocks[0]}, {blocks[1]}] any more")
                elif state == BlocksState.READY and not self._trouble:
                    wanted.is_ready = True
                    done += wanted.waiting
                    wanted.waiting = []
        for on_done in done:
            on_done(None)

    def note_run(self, blocks: int, tiles: int, seconds: float) -> None:
        """A batch came back as it should, so long after it was asked for."""
        with self._lock:
            self._faults = 0
            block_s = seconds / (blocks * tiles)
            self.real_block_s += (WEIGHT if self._is_measured else 1.0) * (block_s - self.real_block_s)
            self._is_measured = True

    def note_fault(self, sentence: str) -> None:
        """A batch did not come back, or not as it should."""
        with self._lock:
            self._faults += 1
            if self._faults >= FAULTS_IN_A_ROW:
                self._fail(f"{self._faults} batches in a row went wrong, the last one: {sentence}")

    def prepare_images(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """First stage's input, float32 (N, 3, H, W), from uint8 RGB (N, H, W, 3)."""
        mean, std = (np.asarray(values, dtype=np.float32) for values in (self.spec.mean, self.spec.std))
        scaled = (images.astype(np.float32) / np.float32(255.0) - mean) / std
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))

    def close(self) -> None:
        """Nobody waits for this stage any more: what is asked of it ends."""
        with self._lock:
            self._fail("the satellite begins another life")
            self._wanted.clear()

    def _order(self) -> StageOrder:
        return StageOrder(self._boot_id, self._number, self.spec.model_id, tuple(sorted(self._wanted)))

    def _fail(self, reason: str) -> None:
        self._trouble = self._trouble or reason


def _shown(text: str) -> str:
    return repr(text[:SHOWN])
