"""Sensing's ledger: published for all, and written to the journal as the books of this life."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from rclpy.publisher import Publisher

from satllm_ros.acquisition.unheard import SequenceGaps
from satllm_ros.data.tiles import Tile
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.host_clock import host_clock
from satllm_ros.nodes.custody.copies import Copies
from satllm_ros.nodes.images.image_source import ImageSource
from satllm_ros.nodes.wire.ledger import books_of, ledger_message
from satllm_ros.protocol.sensing import SensingProtocol
from satllm_ros.storage.frame_journal import FrameJournal


class LedgerBooks:
    """Says where every tile is, and keeps books of it.

    Parameters
    ----------
    gaps
        Images of a camera that were published and not heard.
    """

    def __init__(
        self,
        node: FlightNode,
        protocol: SensingProtocol[list[Tile]],
        source: ImageSource,
        copies: Copies,
        journal: FrameJournal,
        gaps: SequenceGaps,
        *,
        run_id: int,
        batch_tiles: int,
    ) -> None:
        self._node = node
        self._protocol, self._source, self._copies = protocol, source, copies
        self._journal, self._gaps = journal, gaps
        self._run_id, self._batch_tiles = run_id, batch_tiles

    def publish(self, publisher: Publisher[Any], *, closed: bool = False) -> None:
        """Say and write how things stand; `closed`: nothing will be added in this life."""
        # Before it is said: what the next life takes up is in no count of this one's deliveries.
        self._copies.forget_delivered()
        message = ledger_message(
            self._protocol,
            self._source,
            restored_tiles=self._copies.restored_tiles,
            lost_tiles=self._copies.lost_tiles,
            batch_tiles=self._batch_tiles,
        )
        message.source, message.run_id = self._source.source_id, self._run_id
        message.unheard_frames = self._gaps.missing
        message.header.stamp = self._node.stamp()
        message.steady_s, message.clock = time.monotonic(), host_clock()
        publisher.publish(message)
        try:
            self._source.note_frames()
            self._journal.keep_books(
                books_of(
                    message,
                    frames_total=self._source.frames_total,
                    closed=closed,
                    restored_tiles=self._copies.restored_tiles,
                )
            )
        except sqlite3.Error as error:
            self._node.complain("journal_failed", f"the books are not kept: {error}")
