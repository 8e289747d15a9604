"""What is kept of custody for sensing's next life: a camera's batches on disk, and how many tiles would be lost."""

from __future__ import annotations

import sqlite3

from satllm_ros.data.tiles import Tile
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.protocol.custody import Custody, State
from satllm_ros.protocol.identity import BatchId
from satllm_ros.storage.custody_store import CustodyStore
from satllm_ros.storage.loss_journal import LossJournal


class Copies:
    """Copies of the batches in custody; what the disk fails to take is flown all the same.

    Parameters
    ----------
    custody
        Takes up what the store holds of earlier lives.
    store
        Of a camera whose batches shall outlive this process; None: nothing is kept.
    journal
        Of a camera; None of a bag or folder, which is read again.
    """

    def __init__(
        self,
        node: FlightNode,
        custody: Custody[list[Tile]],
        boot_id: int,
        *,
        store: CustodyStore | None,
        journal: LossJournal | None,
    ) -> None:
        self._node, self._custody, self._boot_id = node, custody, boot_id
        self._store, self._journal = store, journal
        # Sequences of batches that should be on disk and are not.
        self._unkept: set[int] = set()
        self.restored_tiles = self._restore(store) if store is not None else 0

    @property
    def lost_tiles(self) -> int:
        """Tiles that died with earlier lives."""
        return self._journal.lost_tiles if self._journal is not None else 0

    def _restore(self, store: CustodyStore) -> int:
        """Take up what the store holds; returns how many tiles."""
        batches = store.read()
        ids = [self._custody.restore(tiles, len(tiles)).sequence for tiles in batches]
        store.restart(self._boot_id, list(zip(ids, batches, strict=True)))
        return sum(map(len, batches))

    def keep(self, batch: BatchId, tiles: list[Tile]) -> None:
        """Write a batch that custody has accepted."""
        if self._store is None:
            return
        try:
            self._store.add(self._boot_id, batch.sequence, tiles)
        except sqlite3.Error as error:
            # Flown all the same: a copy in memory is better than none.
            self._unkept.add(batch.sequence)
            self._node.complain("store_failed", f"{batch} is not kept for the next life of this node: {error}")

    def forget_delivered(self) -> None:
        """Let go of what custody holds no more."""
        if self._store is None:
            return
        try:
            held = {place.batch.sequence for place in self._custody.places()}
            self._unkept &= held
            self._store.keep_only(held)
        except sqlite3.Error as error:
            self._node.complain("store_failed", f"delivered batches are not forgotten: {error}")

    def note_risk(self, waiting_tiles: int) -> None:
        """Note how many tiles of a camera would die with this process, beside these that wait for a batch."""
        if self._journal is not None:
            self._journal.note(waiting_tiles + self._in_memory_tiles())

    def _in_memory_tiles(self) -> int:
        return sum(
            place.tiles
            for place in self._custody.places()
            if place.state is not State.STORED and (self._store is None or place.batch.sequence in self._unkept)
        )
