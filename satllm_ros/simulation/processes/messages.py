"""What travels in the simulation besides the small messages of `protocol.signals`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from satllm_ros.protocol.delivery import BatchKey, Origin, batch_key
from satllm_ros.protocol.identity import BatchId, Envelope, Epoch, TileKey
from satllm_ros.protocol.plan import Plan


class Tile(NamedTuple):
    """One tile; instead of pixels it carries which image it truly is of, whatever it is called."""

    key: TileKey
    content: str


class Step(NamedTuple):
    """Model work done on a batch: who ran blocks (start, stop] under which plan."""

    satellite: str
    epoch: Epoch
    plan_hash: str
    start: int
    stop: int


@dataclass(frozen=True)
class Batch:
    """Images or an activation; instead of numbers it carries what it is of, and the steps that were run on it."""

    envelope: Envelope
    contents: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    intact: bool = True

    @property
    def cut(self) -> int:
        return self.steps[-1].stop if self.steps else 0


@dataclass(frozen=True)
class Result:
    """What a store keeps and the ground gets: tiles, what made their predictions, and the steps that led to them."""

    tiles: tuple[Tile, ...]
    origin: Origin
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Predictions:
    """A finished batch on its way to a store or to the ground."""

    batch: BatchId
    result: Result
    # Who is told that they have arrived.
    sender: str = ""


@dataclass(frozen=True)
class Receipt:
    """A data message of `sender` has arrived at `receiver`."""

    sender: str
    receiver: str
    batch: BatchId
    wire_bytes: int
    # False: it was made up, or damaged on its way.
    intact: bool = True


@dataclass(frozen=True)
class RunSaid:
    """Topic `ledger`, as far as the ground wants to know: which run sensing flies."""

    run_id: int


@dataclass(frozen=True)
class Proposed:
    """Topic `plan_proposed`."""

    plan: Plan


@dataclass(frozen=True)
class Active:
    """Topic `plan_active`."""

    plan: Plan


def batch_of(what: Any) -> BatchKey | None:
    """The batch that is carried, or written; None where it is something else."""
    match what:
        case Batch():
            return batch_key(what.envelope.batch)
        case Predictions():
            return batch_key(what.batch)
        case BatchId():
            return batch_key(what)
    return None
