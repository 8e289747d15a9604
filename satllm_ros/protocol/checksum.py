"""CRC-32 over what identifies a batch and over its payload: a flipped bit in either is noticed."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from satllm_ros.protocol.identity import Envelope


def seal(envelope: Envelope, cut: int, payload: Any) -> int:
    """CRC-32 of the envelope's identity (batch, epochs, plan, model, run, tiles), the cut, and the payload's bytes.

    Sender and destination are left out: they change at every hop of a message that is passed on unread.
    """
    numbers = struct.pack(
        "<QQIQQQQQI",
        envelope.batch.boot_id,
        envelope.batch.sequence,
        envelope.batch.attempt,
        envelope.epoch.incarnation,
        envelope.epoch.counter,
        envelope.low_water.incarnation,
        envelope.low_water.counter,
        envelope.run_id,
        cut,
    )
    texts = "\0".join((envelope.plan_hash, envelope.model_id, envelope.source_id)).encode("utf-8", "surrogatepass")
    tiles = struct.pack(f"<{envelope.tiles}Q", *envelope.frames)
    tiles += struct.pack(f"<{len(envelope.tile_indices)}I", *envelope.tile_indices)
    return zlib.crc32(payload, zlib.crc32(numbers + texts + tiles))
