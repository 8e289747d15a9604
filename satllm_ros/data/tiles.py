"""Frames to tiles, and tiles to and from the bytes an image batch carries."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from satllm_ros.data.images import jpeg as jpeg_files
from satllm_ros.data.images.errors import ImageError

JPEG_QUALITY = 95


class TileError(ValueError):
    """A frame or tile that cannot be used."""


@dataclass(frozen=True)
class Tile:
    """One model-sized piece of a frame, as it will be sent.

    `source_id` is that of the life of sensing that heard the frame: a tile which a later life takes up keeps it.
    """

    source_id: str
    frame: int
    tile_index: int
    acquired_ns: int
    data: bytes


def grid(height: int, width: int, tile_height: int, tile_width: int) -> list[tuple[int, int]]:
    """Upper left corners (row, column) of the tiles that cover a frame.

    The last row and column are moved inwards so that every pixel is covered and no tile is padded.

    Raises
    ------
    TileError
        If the frame is smaller than one tile.
    """
    if height < tile_height or width < tile_width:
        raise TileError(
            f"frame of {width}x{height} pixels is smaller than the model's tile of {tile_width}x{tile_height}; "
            f"with resize: {max(tile_height, tile_width)} in the source of the constellation file it is made larger"
        )
    rows = [min(r, height - tile_height) for r in range(0, height, tile_height)]
    columns = [min(c, width - tile_width) for c in range(0, width, tile_width)]
    return [(r, c) for r in rows for c in columns]


def cut_tiles(frame: NDArray[np.uint8], tile_height: int, tile_width: int) -> list[NDArray[np.uint8]]:
    """Tiles, uint8 (tile_height, tile_width, 3) each, of a frame, uint8 RGB (H, W, 3)."""
    height, width = frame.shape[:2]
    corners = grid(height, width, tile_height, tile_width)
    return [np.ascontiguousarray(frame[r : r + tile_height, c : c + tile_width]) for r, c in corners]


def encode_tile(tile: NDArray[np.uint8], *, jpeg: bool) -> bytes:
    """Bytes of an RGB tile: a JPEG file of quality 95, or the pixels row by row."""
    if not jpeg:
        return tile.tobytes()
    blue_first = cv2.cvtColor(tile, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def decode_tiles(data: memoryview, sizes: Sequence[int], height: int, width: int, *, jpeg: bool) -> NDArray[np.uint8]:
    """Images, uint8 RGB (N, height, width, 3), of a received batch.

    Raises
    ------
    TileError
        If a tile is no JPEG, or not of the declared size.
    """
    images = np.empty((len(sizes), height, width, 3), dtype=np.uint8)
    offset = 0
    for index, size in enumerate(sizes):
        piece = np.frombuffer(data[offset : offset + size], dtype=np.uint8)
        offset += size
        if jpeg:
            try:
                images[index] = jpeg_files.decode_jpeg(piece.tobytes(), (height, width))
            except ImageError as error:
                raise TileError(f"tile {index} {error}") from None
        elif piece.size != height * width * 3:
            raise TileError(f"tile {index} has {piece.size} bytes, {width}x{height} RGB needs {height * width * 3}")
        else:
            images[index] = piece.reshape(height, width, 3)
    return images


def decode_jpeg(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB image, uint8 (H, W, 3), of the bytes of a JPEG file, as satellites decode it; raises `TileError` if none."""
    try:
        return jpeg_files.decode_jpeg(data.tobytes())
    except ImageError as error:
        raise TileError(f"a JPEG file {error}") from None


def picture_size(data: bytes) -> tuple[int, int]:
    """Height and width [pixel] that the header of an image file declares; raises `TileError` if it has none."""
    try:
        with Image.open(io.BytesIO(data)) as header:
            columns, rows = header.size
    # Pillow stumbles over damaged files in many ways; each means that nothing is known of this one.
    except Exception as error:  # noqa: BLE001
        raise TileError(f"{len(data)} bytes are not a readable image ({error})") from None
    return rows, columns
