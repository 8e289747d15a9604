import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from satllm_ros.data.images import ImageError, decode_image


def encoded(image: Image.Image, format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_lossless_files_decode_to_their_pixels(format: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(decode_image(encoded(Image.fromarray(pixels), format), "x"), pixels)


def test_grey_becomes_three_equal_channels() -> None:
    pixels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    decoded = decode_image(encoded(Image.fromarray(pixels), "PNG"), "x")
    assert np.array_equal(decoded, np.repeat(pixels[:, :, None], 3, axis=2))


def test_more_than_eight_bits_are_refused_rather_than_clipped() -> None:
    deep = Image.fromarray(np.full((4, 4), 3000, dtype=np.uint16))
    with pytest.raises(ImageError, match=r"image deep\.png has pixels of mode I;16"):
        decode_image(encoded(deep, "PNG"), "deep.png")


@pytest.mark.parametrize("data", [b"", b"no image", b"\xff\xd8\xff\xe0"])
def test_what_is_no_image_is_named(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"image cloud\.jpg"):
        decode_image(data, "cloud.jpg")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=200, deadline=None)
@given(data=st.data(), format=st.sampled_from(["JPEG", "PNG", "TIFF"]))
def test_damaged_files_are_refused_or_decoded_but_never_crash(data: st.DataObject, format: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file = bytearray(encoded(Image.fromarray(pixels), format))
    for _ in range(data.draw(st.integers(1, 5))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_image(bytes(file[: data.draw(st.integers(0, len(file)))]), "x")
    except ImageError:
        return
    assert decoded.dtype == np.uint8 and decoded.ndim == 3 and decoded.shape[2] == 3
