"""Who is who on the wire: epochs of plans, batches, tiles."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import NamedTuple

UINT64_MAX = 2**64 - 1


@dataclass(frozen=True, order=True)
class Epoch:
    """Order of plans: (incarnation of the planner, plans made in it). The default stands for "no plan"."""

    incarnation: int = 0
    counter: int = 0

    def __post_init__(self) -> None:
        for name in ("incarnation", "counter"):
            value = getattr(self, name)
            if not 0 <= value <= UINT64_MAX:
                raise ValueError(f"epoch {name} is {value}; allowed is 0 to 2^64-1")

    def __str__(self) -> str:
        return f"{self.incarnation}.{self.counter}"


NO_EPOCH = Epoch()


@dataclass(frozen=True)
class BatchId:
    """One batch of one life of a sensing node; `attempt` counts re-sends of the same tiles."""

    boot_id: int
    sequence: int
    attempt: int = 0

    def __str__(self) -> str:
        again = f" (attempt {self.attempt})" if self.attempt else ""
        return f"batch {self.sequence}{again}"


class TileKey(NamedTuple):
    """Identity of a tile: (source, frame, place in the frame), as `source_identity` gives it to the image.

    Stays the same when a restarted sensing node reads the same bag or folder again.
    """

    source_id: str
    frame: int
    tile_index: int


@dataclass(frozen=True)
class Envelope:
    """What travels with a batch through every hop (message `BatchEnvelope`).

    Attributes
    ----------
    run_id
        The run of the sensing node that made the batch; 0: none is known.
    source_id, frames, tile_indices
        Identities of the tiles.
    """

    batch: BatchId
    sender: str
    destination: str
    epoch: Epoch
    plan_hash: str
    low_water: Epoch
    model_id: str
    run_id: int
    source_id: str
    frames: tuple[int, ...]
    tile_indices: tuple[int, ...]

    @property
    def tiles(self) -> int:
        return len(self.frames)

    def keys(self) -> list[TileKey]:
        return [TileKey(self.source_id, f, i) for f, i in zip(self.frames, self.tile_indices, strict=True)]


def new_boot_id() -> int:
    """Random 64-bit number that tells two lives of a process apart."""
    return secrets.randbits(64) or 1
