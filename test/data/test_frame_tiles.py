import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.data.tiles import TileError, cut_tiles, decode_jpeg, decode_tiles, encode_tile, grid

sides = st.integers(1, 40)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth RGB image: JPEG keeps it nearly as it is."""
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [rows * 4 + seed, columns * 4, 255 - rows * 2 - columns]
    return np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8)


@given(height=sides, width=sides, tile_height=sides, tile_width=sides)
def test_tiles_cover_every_pixel_and_none_sticks_out(
    height: int, width: int, tile_height: int, tile_width: int
) -> None:
    height, width = height + tile_height, width + tile_width
    corners = grid(height, width, tile_height, tile_width)
    covered = np.zeros((height, width), dtype=int)
    for row, column in corners:
        assert 0 <= row <= height - tile_height and 0 <= column <= width - tile_width
        covered[row : row + tile_height, column : column + tile_width] += 1
    assert covered.min() >= 1
    assert len(corners) == -(-height // tile_height) * -(-width // tile_width)
    assert len(set(corners)) == len(corners)


def test_tiles_are_the_pixels_of_the_frame_row_by_row() -> None:
    frame = picture(5, 7)
    tiles = cut_tiles(frame, 3, 4)
    assert [tile.tolist() for tile in tiles] == [
        frame[r : r + 3, c : c + 4].tolist() for r, c in ((0, 0), (0, 3), (2, 0), (2, 3))
    ]


@pytest.mark.parametrize(("height", "width"), [(7, 20), (20, 7)])
def test_a_frame_smaller_than_a_tile_is_refused(height: int, width: int) -> None:
    with pytest.raises(TileError, match=f"frame of {width}x{height} pixels is smaller than .* 10x8"):
        grid(height, width, 8, 10)


def test_raw_tiles_come_back_exactly() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
    pieces = [encode_tile(image, jpeg=False) for image in images]
    decoded = decode_tiles(memoryview(b"".join(pieces)), [len(p) for p in pieces], 4, 6, jpeg=False)
    assert np.array_equal(decoded, images)


def test_jpeg_tiles_come_back_in_order_with_their_colors() -> None:
    images = [picture(16, 24, seed) for seed in (0, 40, 80)]
    pieces = [encode_tile(image, jpeg=True) for image in images]
    assert len({len(piece) for piece in pieces}) > 1, "pieces of several sizes, or offsets are not tried"
    decoded = decode_tiles(memoryview(b"".join(pieces)), [len(p) for p in pieces], 16, 24, jpeg=True)
    assert decoded.shape == (3, 16, 24, 3)
    for image, back in zip(images, decoded, strict=True):
        assert np.abs(image.astype(int) - back).mean() < 3


def test_red_stays_red() -> None:
    red = np.zeros((8, 8, 3), dtype=np.uint8)
    red[:, :, 0] = 200
    back = decode_jpeg(np.frombuffer(encode_tile(red, jpeg=True), dtype=np.uint8))
    assert abs(int(back[4, 4, 0]) - 200) < 5 and back[4, 4, 1:].max() < 5


def with_declared_size(jpeg: bytes, height: int, width: int) -> bytes:
    """A JPEG file whose frame header declares another size."""
    place = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:place] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + jpeg[place + 4 :]


GOOD = encode_tile(picture(8, 8), jpeg=True)


@pytest.mark.parametrize(
    ("piece", "sentence"),
    [
        (b"", "tile 1 of 0 bytes is not a readable image"),
        (b"not a picture", "tile 1 of 13 bytes is not a readable image"),
        (GOOD[:20], "not a readable image"),
        (encode_tile(picture(8, 16), jpeg=True), "tile 1 is 16x8 pixels, declared 8x8"),
        (encode_tile(picture(4, 16), jpeg=True), "tile 1 is 16x4 pixels, declared 8x8"),
        (with_declared_size(GOOD, 30000, 30000), "tile 1"),
        (with_declared_size(GOOD, 65500, 65500), "tile 1"),
    ],
    ids=["empty", "text", "header only", "too large", "as many pixels", "2.7 GB declared", "12.9 GB declared"],
)
def test_a_tile_that_is_no_jpeg_of_the_declared_size_is_refused(piece: bytes, sentence: str) -> None:
    with pytest.raises(TileError, match=sentence):
        decode_tiles(memoryview(GOOD + piece), [len(GOOD), len(piece)], 8, 8, jpeg=True)


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [([12, 11], "tile 1 has 11 bytes, 2x2 RGB needs 12"), ([12, 12, 12], "tile 2 has 0 bytes")],
    ids=["short tile", "more tiles than bytes"],
)
def test_raw_tiles_of_a_wrong_size_are_refused(sizes: list[int], sentence: str) -> None:
    with pytest.raises(TileError, match=sentence):
        decode_tiles(memoryview(bytes(24)), sizes, 2, 2, jpeg=False)


def test_more_pixels_than_the_decoder_allows_is_an_unreadable_image() -> None:
    data = np.frombuffer(with_declared_size(GOOD, 65500, 65500), dtype=np.uint8)
    with pytest.raises(TileError, match="not a readable image"):
        decode_jpeg(data)


def test_a_tile_that_is_cut_off_is_refused_not_filled_up() -> None:
    torn = encode_tile(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), jpeg=True)[:-900]
    with pytest.raises(TileError, match="tile 0 of .* bytes is not a readable image"):
        decode_tiles(memoryview(torn), [len(torn)], 64, 64, jpeg=True)
