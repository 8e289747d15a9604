"""JPEG 2000, what Sentinel-2 is published in: 8 bits are read exactly, wider samples are refused by name."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from satllm_ros.data.images.decoding import ImageError, PixelsRefusedError, decode_image

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)


def encoded(pixels: np.ndarray = PIXELS, *, no_jp2: bool = False) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG2000", irreversible=False, no_jp2=no_jp2)
    return buffer.getvalue()


@pytest.mark.parametrize("no_jp2", [False, True])
def test_eight_bits_are_read_exactly(no_jp2: bool) -> None:
    np.testing.assert_array_equal(decode_image(encoded(no_jp2=no_jp2), "a.jp2"), PIXELS)
    gray = decode_image(encoded(PIXELS[:, :, 0], no_jp2=no_jp2), "a.jp2")
    np.testing.assert_array_equal(gray, np.dstack([PIXELS[:, :, 0]] * 3))


def test_wider_samples_are_refused_with_their_bits() -> None:
    with pytest.raises(PixelsRefusedError, match=r"image a\.jp2 has 16 bits a channel; .* TIFF"):
        decode_image(encoded(PIXELS[:, :, 0].astype(np.uint16) * 16), "a.jp2")
    data = bytearray(encoded())
    depth = data.find(b"\xff\x4f\xff\x51") + 42
    assert data[depth] == 7
    for value, said in ((11, "12 bits a channel;"), (0x87, "8 bits a channel, signed")):
        data[depth] = value
        with pytest.raises(PixelsRefusedError, match=said):
            decode_image(bytes(data), "a.jp2")


@given(st.floats(0, 1, exclude_max=True), st.binary(max_size=8))
def test_damaged_ones_are_images_that_cannot_be_read(share: float, change: bytes) -> None:
    data = encoded()
    place = int(share * len(data))
    for damaged in (data[:place], data[:place] + change + data[place + len(change) :]):
        try:
            image = decode_image(damaged, "a.jp2")
        except ImageError as error:
            assert "a.jp2" in str(error)
        else:
            assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
