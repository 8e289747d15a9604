"""Frames to tiles, and tiles to and from the bytes an image batch carries."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

JPEG_QUALITY = 95


class TileError(ValueError):
    """A frame or tile that cannot be used."""


@dataclass(frozen=True)
class Tile:
    """One model-sized piece of a frame, as it will be sent.

    The source is its own: a tile restored from an earlier life of sensing keeps the one it was acquired under.
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
            f"frame of {width}x{height} pixels is smaller than the model's tile of {tile_width}x{tile_height}"
        )
    rows = [min(r, height - tile_height) for r in range(0, height, tile_height)]
    columns = [min(c, width - tile_width) for c in range(0, width, tile_width)]
    return [(r, c) for r in rows for c in columns]


def cut_tiles(frame: np.ndarray, tile_height: int, tile_width: int) -> list[np.ndarray]:
    """Tiles, uint8 (tile_height, tile_width, 3) each, of a frame, uint8 RGB (H, W, 3)."""
    corners = grid(*frame.shape[:2], tile_height, tile_width)
    return [np.ascontiguousarray(frame[r : r + tile_height, c : c + tile_width]) for r, c in corners]


def encode_tile(tile: np.ndarray, *, jpeg: bool) -> bytes:
    """Bytes of an RGB tile: a JPEG file of quality 95, or the pixels row by row."""
    if not jpeg:
        return tile.tobytes()
    blue_first = cv2.cvtColor(tile, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def decode_tiles(data: memoryview, sizes: Sequence[int], height: int, width: int, *, jpeg: bool) -> np.ndarray:
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
            _check_pixels(piece, index, height, width)
            decoded = decode_jpeg(piece)
            if decoded.shape != images.shape[1:]:
                raise TileError(
                    f"tile {index} is {decoded.shape[1]}x{decoded.shape[0]} pixels, declared {width}x{height}"
                )
            images[index] = decoded
        elif piece.size != height * width * 3:
            raise TileError(f"tile {index} has {piece.size} bytes, {width}x{height} RGB needs {height * width * 3}")
        else:
            images[index] = piece.reshape(height, width, 3)
    return images


def decode_jpeg(data: np.ndarray) -> np.ndarray:
    """RGB image, uint8 (H, W, 3), of the bytes of a JPEG file; raises `TileError` if they are none."""
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:
        # Raised, not returned, when a header declares more pixels than OpenCV allows.
        image = None
    if image is None:
        raise TileError(f"{data.size} bytes are not a readable image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def picture_size(data: bytes) -> tuple[int, int]:
    """Height and width [pixel] that the header of an image file declares; raises `TileError` if it has none."""
    try:
        with Image.open(io.BytesIO(data)) as header:
            columns, rows = header.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise TileError(f"{len(data)} bytes are not a readable image ({error})") from None
    return rows, columns


def _check_pixels(data: np.ndarray, index: int, height: int, width: int) -> None:
    # Before decoding: some hundred bytes can declare gigabytes of pixels.
    try:
        rows, columns = picture_size(data.tobytes())
    except TileError as error:
        raise TileError(f"tile {index}: {error}") from None
    if columns * rows != height * width:
        raise TileError(f"tile {index} is {columns}x{rows} pixels, declared {width}x{height}")
