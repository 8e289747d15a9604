"""What became of a flight: counted in the ground's own store, held against what had to come down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from satllm_ros.storage.prediction_store import PredictionStore
from satllm_ros.storage.run_identity import read_run


@dataclass(frozen=True)
class Result:
    """One row of the table.

    Attributes
    ----------
    tiles, lost, twice, wrong
        Tiles that had to come down; those of which the ground has no row, None if the run was broken off; further
        rows of the same tile; predictions that differ from the unsplit model's.
    suppressed
        Copies that arrived at the ground and were not taken.
    sent_again, plans
        Batches that sensing sent again; plans that it committed.
    recovery_s, bound_s
        From the fault to the first delivery of a batch sent after it, the slowest of several; and its bound.
    complaints
        What must not have happened; empty if the flight passed.
    """

    scenario: str
    tiles: int = 0
    lost: int | None = 0
    twice: int = 0
    wrong: int = 0
    suppressed: int = 0
    sent_again: int = 0
    plans: int = 0
    recovery_s: float | None = None
    bound_s: float | None = None
    note: str = ""
    complaints: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.complaints


@dataclass(frozen=True)
class Rows:
    """What the ground's store holds, against the class each frame must have."""

    lost: int
    twice: int
    wrong: int
    suppressed: int
    unknown: int


def count_rows(store: Path, labels: Mapping[tuple[str, int], int], sensing: Path | None = None) -> Rows:
    """Count the rows of a store of predictions.

    `labels` gives the class of each (source, frame) that had to come down; source "" is that of the run, whose folder
    on sensing's computer is `sensing`, if that is not the store's.
    """
    run = read_run(sensing or store.parent)
    source = run.facts.source if run is not None else None
    own = source.source_id if source is not None else ""
    wanted = {(name or own, frame): label for (name, frame), label in labels.items()}
    opened = PredictionStore(store)
    try:
        tiles = list(opened.read())
    finally:
        opened.close()
    frames = [(tile.key.source_id, tile.key.frame) for tile in tiles]
    return Rows(
        lost=len(wanted.keys() - set(frames)),
        twice=len(frames) - len(set(frames)),
        wrong=sum(tile.label != wanted[frame] for tile, frame in zip(tiles, frames, strict=True) if frame in wanted),
        suppressed=sum(tile.copies - 1 for tile in tiles),
        unknown=len(set(frames) - wanted.keys()),
    )


def books_complaints(ledgers: Sequence[Any]) -> list[str]:
    """Ledgers (message `Ledger`) that do not add up."""
    for ledger in ledgers:
        parts = ledger.waiting_tiles + ledger.in_flight_tiles + ledger.stored_tiles
        parts += ledger.delivered_tiles + ledger.dropped_tiles
        if ledger.acquired_tiles != parts:
            return [f"the ledger says {ledger.acquired_tiles} tiles acquired, its parts add up to {parts}"]
    return []


def rows_complaints(rows: Rows, *, exact: bool, losses_told: int) -> list[str]:
    """What is wrong with the rows.

    `exact`: every prediction must be the unsplit model's. `losses_told`: tiles that the flight itself said were lost.
    """
    found = {
        "tiles lost without a word": max(0, rows.lost - losses_told),
        "tiles twice": rows.twice,
        "tiles that were never sent": rows.unknown,
        "predictions wrong": rows.wrong if exact else 0,
    }
    return [f"{count} {what}" for what, count in found.items() if count]
