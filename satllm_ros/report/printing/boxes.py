"""Where a tile lies in its frame, from the sizes alone."""

from typing import NamedTuple


class Box(NamedTuple):
    """Row and column in the grid of tiles, from 0, and upper left corner [pixel]."""

    row: int
    column: int
    x: int
    y: int


def tile_box(index: int, height: int, width: int, tile_height: int, tile_width: int) -> Box | None:
    """Place of the tile `index` of a frame, as `data.tiles.grid` cuts it; None if there is no such tile.

    The last row and column are moved inwards, so that they overlap the ones before.
    """
    if not 0 < tile_height <= height or not 0 < tile_width <= width:
        return None
    columns, rows = -(-width // tile_width), -(-height // tile_height)
    if not 0 <= index < columns * rows:
        return None
    row, column = divmod(index, columns)
    return Box(row, column, min(column * tile_width, width - tile_width), min(row * tile_height, height - tile_height))
