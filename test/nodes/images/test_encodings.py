"""Encodings that camera drivers publish: the same pixels with cv_bridge and without; the others refused by name."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PictureFile
from sensor_msgs.msg import CompressedImage, Image

from satllm_ros.data.images.decoding import ImageError, PixelsRefusedError
from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules
from satllm_ros.nodes.images import encodings
from satllm_ros.nodes.images.encodings import READ, decode_message

HEIGHT, WIDTH = 16, 24
rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
PICTURE = np.stack([255 - 10 * columns, 120 + 0 * rows, 15 * rows], axis=2).clip(0, 255).astype(np.uint8)
GRAY = PICTURE[:, :, 2].copy()
# Flat, so that what is made up between the pixels of a mosaic is known.
RED, GREEN, BLUE = 200, 90, 30
FLAT = np.full((HEIGHT, WIDTH, 3), (RED, GREEN, BLUE), np.uint8)


def yuv(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y, U, V of BT.601 in the range of video, 16 to 235, at every pixel."""
    red, green, blue = (rgb[:, :, k].astype(float) for k in range(3))
    luma = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    return (
        luma.round().astype(np.uint8),
        (128 - 0.148 * red - 0.291 * green + 0.439 * blue).round().astype(np.uint8),
        (128 + 0.439 * red - 0.368 * green - 0.071 * blue).round().astype(np.uint8),
    )


def yuyv(rgb: np.ndarray) -> np.ndarray:
    y, u, v = yuv(rgb)
    packed = np.empty((*y.shape, 2), np.uint8)
    packed[:, :, 0], packed[:, ::2, 1], packed[:, 1::2, 1] = y, u[:, ::2], v[:, ::2]
    return packed


def planes(rgb: np.ndarray, *, step: int, first: int) -> np.ndarray:
    y, *chroma = yuv(rgb)
    first_plane, second_plane = chroma[first][::step, ::step], chroma[1 - first][::step, ::step]
    return np.concatenate([y, np.stack([first_plane, second_plane], axis=2).reshape(-1, rgb.shape[1])])


def mosaic(pattern: str, rgb: np.ndarray = FLAT, dtype: str = "u1") -> np.ndarray:
    made = np.empty(rgb.shape[:2], dtype)
    for place, letter in enumerate(pattern):
        row, column = divmod(place, 2)
        made[row::2, column::2] = rgb[row::2, column::2, "rgb".index(letter)]
    return made


BGR = PICTURE[:, :, ::-1]
ALPHA = np.full((HEIGHT, WIDTH, 1), 7, np.uint8)
# Samples, the picture they stand for, and how far off it may be.
KNOWN = {
    "rgb8": (PICTURE, PICTURE, 0),
    "bgr8": (BGR, PICTURE, 0),
    "rgba8": (np.dstack([PICTURE, ALPHA]), PICTURE, 0),
    "bgra8": (np.dstack([BGR, ALPHA]), PICTURE, 0),
    "mono8": (GRAY, np.dstack([GRAY] * 3), 0),
    "8UC1": (GRAY, np.dstack([GRAY] * 3), 0),
    "8UC3": (BGR, PICTURE, 0),
    "8UC4": (np.dstack([BGR, ALPHA]), PICTURE, 0),
    **{f"bayer_{p}8": (mosaic(p), FLAT, 0) for p in ("rggb", "bggr", "gbrg", "grbg")},
    **dict.fromkeys(("yuv422_yuy2", "yuyv"), (yuyv(FLAT), FLAT, 3)),
    **dict.fromkeys(("yuv422", "uyvy"), (yuyv(FLAT)[:, :, ::-1], FLAT, 3)),
    "nv12": (planes(FLAT, step=2, first=0), FLAT, 3),
    "nv21": (planes(FLAT, step=2, first=1), FLAT, 3),
    "nv24": (planes(FLAT, step=1, first=0), FLAT, 3),
}
# Without a frame whose colors are made up from fewer neighbors.
INNER = (slice(2, -2), slice(2, -2))


def image(samples: np.ndarray, encoding: str, *, padding: int = 0, big_endian: int = 0) -> Image:
    """Message of samples, (rows, W) or (rows, W, channels), with rows that are longer than their pixels."""
    lines = np.ascontiguousarray(samples).view(np.uint8).reshape(samples.shape[0], -1)
    data = np.pad(lines, ((0, 0), (0, padding)), constant_values=77)
    return Image(
        height=HEIGHT, width=WIDTH, encoding=encoding, step=data.shape[1], data=data.tobytes(), is_bigendian=big_endian
    )


@pytest.fixture(params=["cv_bridge", "no cv_bridge"])
def installation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "no cv_bridge":
        monkeypatch.setattr(encodings, "_bridge", lambda: None)
    else:
        assert encodings._bridge() is not None
    return request.param


def test_all_encodings_that_are_said_to_be_read_are_tried() -> None:
    assert KNOWN.keys() == set(READ)


@pytest.mark.parametrize("encoding", READ)
def test_encodings_give_their_picture_on_every_installation(encoding: str, installation: str) -> None:
    samples, expected, tolerance = KNOWN[encoding]
    found = decode_message(image(samples, encoding))
    assert found.dtype == np.uint8 and found.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(found[INNER].astype(int) - expected[INNER]).max() <= tolerance


@pytest.mark.parametrize("encoding", READ)
def test_cv_bridge_or_not_padded_or_not_big_endian_or_not_the_pixels_are_the_same(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Busy pictures, so that no difference hides.
    shape = KNOWN[encoding][0].shape
    samples = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    plain = decode_message(image(samples, encoding))
    without_step = image(samples, encoding)
    without_step.step = 0
    for message in (image(samples, encoding, padding=5), image(samples, encoding, big_endian=1), without_step):
        np.testing.assert_array_equal(decode_message(message), plain)
    monkeypatch.setattr(encodings, "_bridge", lambda: None)
    np.testing.assert_array_equal(decode_message(image(samples, encoding)), plain)


def test_cv_bridge_is_asked_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Bridge:
        def imgmsg_to_cv2(self, message: Image, desired_encoding: str) -> np.ndarray:
            asked.append((message.encoding, desired_encoding))
            return PICTURE

    monkeypatch.setattr(encodings, "_bridge", Bridge)
    for encoding in READ:
        decode_message(image(KNOWN[encoding][0], encoding))
    unasked = {"8UC1", "8UC3", "8UC4", "nv12", "nv21", "nv24"}
    assert asked == [(encoding, "rgb8") for encoding in READ if encoding not in unasked]


def test_the_last_row_may_lack_its_padding() -> None:
    message = image(PICTURE, "rgb8", padding=8)
    message.data = message.data[:-8]
    np.testing.assert_array_equal(decode_message(message), PICTURE)


# Wide samples

WIDE16 = (PICTURE.astype(np.uint16) << 4) + 3
SCALE = 1 / 16
SCALED = np.rint(WIDE16 * SCALE).astype(np.uint8)
WIDE_ALPHA = np.full((HEIGHT, WIDTH, 1), 9, np.uint16)
WIDE = {
    "mono16": (WIDE16[:, :, 0], np.dstack([SCALED[:, :, 0]] * 3)),
    "16UC1": (WIDE16[:, :, 0], np.dstack([SCALED[:, :, 0]] * 3)),
    "rgb16": (WIDE16, SCALED),
    "bgr16": (WIDE16[:, :, ::-1], SCALED),
    "rgba16": (np.dstack([WIDE16, WIDE_ALPHA]), SCALED),
    "bgra16": (np.dstack([WIDE16[:, :, ::-1], WIDE_ALPHA]), SCALED),
    "16UC3": (WIDE16[:, :, ::-1], SCALED),
    "16SC1": (WIDE16[:, :, 0].astype(np.int16), np.dstack([SCALED[:, :, 0]] * 3)),
    "8SC1": (np.full((HEIGHT, WIDTH), 48, np.int8), np.full((HEIGHT, WIDTH, 3), 3)),
    "32SC1": (WIDE16[:, :, 0].astype(np.int32), np.dstack([SCALED[:, :, 0]] * 3)),
    "32FC1": (WIDE16[:, :, 0].astype(np.float32), np.dstack([SCALED[:, :, 0]] * 3)),
    "64FC3": (WIDE16[:, :, ::-1].astype(np.float64), SCALED),
    "bayer_rggb16": (mosaic("rggb", FLAT.astype(np.uint16) * 16, "u2"), FLAT),
}


@pytest.mark.parametrize("encoding", WIDE)
def test_wide_samples_are_refused_until_their_scale_is_stated(encoding: str) -> None:
    samples, expected = WIDE[encoding]
    message = image(samples, encoding)
    with pytest.raises(PixelsRefusedError, match=f"image of encoding '{encoding}' has .*read are rgb8.*pixel_scale"):
        decode_message(message)
    found = decode_message(message, PixelRules(pixel_scale=SCALE))
    np.testing.assert_array_equal(found[INNER], np.broadcast_to(expected, found.shape)[INNER])


@pytest.mark.parametrize("encoding", WIDE)
def test_big_endian_wide_samples_give_the_same(encoding: str) -> None:
    samples, _ = WIDE[encoding]
    rules = PixelRules(pixel_scale=SCALE)
    swapped = image(samples.byteswap(), encoding, padding=6, big_endian=1)
    np.testing.assert_array_equal(decode_message(swapped, rules), decode_message(image(samples, encoding), rules))


@pytest.mark.parametrize(
    "encoding", ["rgb9", "", "yuv444", "RGB8", "8UC0", "16UC", "bayer_xxxx8", "jpeg", "rgb8\n", "é"]
)
def test_unknown_encodings_are_named_with_those_that_are_read(encoding: str) -> None:
    with pytest.raises(PixelsRefusedError) as caught:
        decode_message(image(PICTURE, encoding), PixelRules(pixel_scale=1.0))
    assert repr(encoding) in str(caught.value) and "yuv422_yuy2" in str(caught.value)


# Bands


def test_bands_without_a_color_are_refused_until_they_are_stated() -> None:
    samples = np.dstack([PICTURE, GRAY, GRAY])
    with pytest.raises(PixelsRefusedError, match="'8UC5' has 8-bit unsigned samples, 5 bands.*state bands"):
        decode_message(image(samples, "8UC5"))
    np.testing.assert_array_equal(decode_message(image(samples, "8UC5"), PixelRules(bands=(1, 2, 3))), PICTURE)


@pytest.mark.parametrize(("encoding", "samples"), [("rgb8", PICTURE), ("bgr8", BGR), ("8UC3", PICTURE)])
def test_bands_of_named_colors_are_red_green_blue_and_of_others_those_of_the_message(
    encoding: str, samples: np.ndarray
) -> None:
    found = decode_message(image(samples, encoding), PixelRules(bands=(3, 2, 1)))
    np.testing.assert_array_equal(found, PICTURE[:, :, ::-1])


def test_images_are_resized_as_files_are() -> None:
    found = decode_message(image(PICTURE, "rgb8"), PixelRules(resize=HEIGHT))
    np.testing.assert_array_equal(found, PICTURE[:, 4:20])


# Files in messages


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    PictureFile.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def test_files_in_messages_are_decoded_as_files_are() -> None:
    for kind, label in (("PNG", "png"), ("TIFF", "bgr8; tiff compressed bgr8"), ("PNG", "")):
        found = decode_message(CompressedImage(format=label, data=encoded(PICTURE, kind)))
        np.testing.assert_array_equal(found, PICTURE)


def test_sixteen_bits_in_a_file_are_refused_as_in_a_raw_message() -> None:
    message = CompressedImage(format="16UC1; png compressed ", data=encoded(WIDE16[:, :, 0], "PNG"))
    with pytest.raises(PixelsRefusedError, match=r"'16UC1; png compressed ' has 16-bit unsigned.*state pixel_scale"):
        decode_message(message)
    found = decode_message(message, PixelRules(pixel_scale=SCALE))
    np.testing.assert_array_equal(found, np.dstack([SCALED[:, :, 0]] * 3))


@pytest.mark.parametrize("label", ["16UC1; compressedDepth png", "32FC1; compressedDepth"])
def test_depths_are_refused_by_name(label: str) -> None:
    with pytest.raises(PixelsRefusedError, match=f"'{label}' holds distances"):
        decode_message(CompressedImage(format=label, data=bytes(12) + encoded(GRAY, "PNG")))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_mosaic_that_was_compressed_as_it_is_gets_its_colors(pattern: str) -> None:
    message = CompressedImage(format=f"bayer_{pattern}8; png compressed ", data=encoded(mosaic(pattern), "PNG"))
    np.testing.assert_array_equal(decode_message(message)[INNER], FLAT[INNER])


def test_a_mosaic_that_was_compressed_in_color_is_a_picture() -> None:
    message = CompressedImage(format="bayer_rggb8; jpeg compressed bgr8", data=encoded(PICTURE, "PNG"))
    np.testing.assert_array_equal(decode_message(message), PICTURE)


# Hostile messages


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (Image(encoding="rgb8"), "is of 0x0 pixels"),
        (Image(height=4, width=4, encoding="rgb8", step=12, data=bytes(47)), "needs 48 bytes and has 47"),
        (Image(height=4, width=4, encoding="rgb8", step=11, data=bytes(48)), "rows of 11 bytes; 4 pixels need 12"),
        (Image(height=2**32 - 1, width=2**32 - 1, encoding="rgb8", step=2**32 - 1, data=bytes(7)), "pixels need"),
        (Image(height=2**32 - 1, width=8, encoding="mono8", step=8, data=bytes(8)), "needs 34359738360 bytes"),
        (Image(height=2**32 - 2, width=8, encoding="nv12", step=8, data=bytes(8)), "needs 51539607528 bytes"),
        (Image(height=4, width=5, encoding="yuyv", step=10, data=bytes(40)), "an even one is needed"),
        (Image(height=5, width=4, encoding="nv21", step=4, data=bytes(40)), "an even one is needed"),
        (CompressedImage(format="jpeg", data=b""), "is no image"),
        (CompressedImage(format="jpeg", data=b"\xff\xd8\xff broken"), "cut off"),
        (
            CompressedImage(format="jpeg", data=encoded(np.kron(PICTURE, np.ones((4, 4, 1), np.uint8)), "JPEG")[:-60]),
            "damaged",
        ),
        (CompressedImage(format="png", data=b"\x89PNG\r\n\x1a\n"), "cut off"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_damaged_messages_are_unreadable_in_one_sentence(message: Image | CompressedImage, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence) as caught:
        decode_message(message)
    assert not isinstance(caught.value, PixelsRefusedError) and "\n" not in str(caught.value)


RULES = st.sampled_from([AS_DECLARED, PixelRules(pixel_scale=0.1), PixelRules((2,)), PixelRules((4, 3, 2), 2.0, 5)])
sizes = st.integers(0, 40) | st.sampled_from([2**31, 2**32 - 1])


@settings(max_examples=500, deadline=None)
@given(
    encoding=st.sampled_from([*READ, *WIDE, "8UC2", "16UC99", "32FC7", "yuv444", "x", ""]) | st.text(max_size=9),
    height=sizes,
    width=sizes,
    step=st.integers(0, 256) | st.sampled_from([2**31, 2**32 - 1]),
    data=st.binary(max_size=4096) | st.integers(0, 20000).map(bytes),
    big_endian=st.integers(0, 255),
    rules=RULES,
)
def test_no_image_message_does_harm(
    encoding: str, height: int, width: int, step: int, data: bytes, big_endian: int, rules: PixelRules
) -> None:
    message = Image(encoding=encoding, height=height, width=width, step=step, data=data, is_bigendian=big_endian)
    try:
        found = decode_message(message, rules)
    except ImageError:
        return
    side = rules.resize
    assert found.shape == ((side, side, 3) if side else (height, width, 3)) and found.dtype == np.uint8


@settings(max_examples=200, deadline=None)
@given(
    label=st.sampled_from(["jpeg", "png", "bayer_rggb8; png compressed ", "16UC1; compressedDepth png"]) | st.text(),
    data=st.binary(max_size=200),
    start=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"GIF89a", b"BM", b"RIFF"]),
    rules=RULES,
)
def test_no_file_in_a_message_does_harm(label: str, data: bytes, start: bytes, rules: PixelRules) -> None:
    try:
        found = decode_message(CompressedImage(format=label, data=start + data), rules)
    except ImageError:
        return
    assert found.dtype == np.uint8 and found.shape[2] == 3
