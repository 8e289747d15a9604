"""A batch of tiles as a message for the first satellite."""

from __future__ import annotations

from array import array

from rclpy.time import Time
from std_msgs.msg import Header

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.data.tiles import Tile
from satllm_ros.model.spec import ModelSpec
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.checksum import seal
from satllm_ros.protocol.identity import Envelope
from satllm_ros.protocol.sensing import SendBatch


def image_batch_to(send: SendBatch[list[Tile]], spec: ModelSpec, *, run_id: int, jpeg: bool) -> m.ImageBatch:
    """Message of a batch that sensing sends, its tiles as they are encoded; stamped with its oldest acquisition.

    Parameters
    ----------
    jpeg
        Whether the tiles are JPEG files; else plain RGB.
    """
    tiles, plan = send.payload, send.plan
    envelope = Envelope(
        batch=send.batch,
        sender=graph.SENSING,
        destination=plan.satellites[0],
        epoch=plan.epoch,
        plan_hash=plan.plan_hash,
        low_water=send.low_water,
        model_id=spec.model_id,
        run_id=run_id,
        source_id=tiles[0].source_id,
        frames=tuple(tile.frame for tile in tiles),
        tile_indices=tuple(tile.tile_index for tile in tiles),
    )
    data = array("B")
    for tile in tiles:
        data.frombytes(tile.data)
    return m.ImageBatch(
        header=Header(
            stamp=Time(nanoseconds=min(tile.acquired_ns for tile in tiles)).to_msg(), frame_id=envelope.source_id
        ),
        envelope=convert.envelope_to(envelope),
        encoding=m.ImageBatch.ENCODING_JPEG if jpeg else m.ImageBatch.ENCODING_RGB8,
        height=spec.image_height,
        width=spec.image_width,
        tile_bytes=[len(tile.data) for tile in tiles],
        crc32=seal(envelope, 0, data),
        data=data,
    )
