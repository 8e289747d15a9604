"""What runs blocks of a model: one interface, whatever computes behind it. Above it, arrays are numpy's.

engine = TorchEngine(checkpoint, spec, threads=1)
engine.open()                    # seconds: imports what it computes with
blocks = engine.load(0, 6)       # blocks (0, 6], with the embed part
activation = blocks(normalize(images, spec))
blocks.close()
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EngineName:
    """What computes, on what, and in what."""

    kind: str
    device: str
    precision: str

    def __str__(self) -> str:
        return f"{self.kind} on {self.device} in {self.precision}"


class LoadedBlocks(Protocol):
    """Blocks (start, stop] in memory; start == 0 has the embed part, stop == L the head."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of parameters and tables held."""
        ...

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run them.

        Parameters
        ----------
        x
            Normalized images (N, 3, H, W) if start == 0, else activations (N, S, D).

        Returns
        -------
        NDArray[np.float32]
            Logits (N, E) if stop == L, else activations (N, S, D).

        Raises
        ------
        ModelError
            If x is of another shape or type.
        """
        ...

    def block_seconds(self, tiles: int, repeats: int, within_s: float) -> float:
        """Median seconds that one tile takes in one block, as `model.measure.run_seconds` measures."""
        ...

    def close(self) -> None:
        """Let go of the memory; nothing may be running, and nothing runs afterwards."""
        ...


class Engine(Protocol):
    """Loads blocks of one model. Any thread may call; `open` comes before `load`."""

    @property
    def name(self) -> EngineName:
        """What it is."""
        ...

    @property
    def threads(self) -> int:
        """Threads of one inference."""
        ...

    @property
    def layer_bytes(self) -> tuple[int, ...]:
        """Bytes of parameters that each of the L layers takes in memory, the embed part in the first, the head in the
        last."""
        ...

    def open(self) -> None:
        """Import what it computes with, which takes seconds.

        Raises
        ------
        Exception
            Whatever a library that is not there, or is built for another machine, fails with.
        """
        ...

    def load(self, start: int, stop: int) -> LoadedBlocks:
        """Load blocks (start, stop].

        Raises
        ------
        OSError
            If a file cannot be read.
        ModelError
            If a file is not what it must be, or there are no such blocks.
        """
        ...
