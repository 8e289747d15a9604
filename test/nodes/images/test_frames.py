"""Camera messages and files to frames, through cv_bridge; whatever cannot be read is a frame that says why."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from cv_bridge import CvBridge
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PictureFile
from sensor_msgs.msg import CompressedImage, Image

from satllm_ros.data.rosbag.bag_writer import START_NS, LabelledFrame, write_bag
from satllm_ros.data.sources import take_manifest
from satllm_ros.data.tiles import TileError
from satllm_ros.nodes.images.frames import (
    Frame,
    Origin,
    SourceKind,
    UnreadableFrame,
    bag_frames,
    encoded_tiles,
    folder_frames,
    frame_from,
    source_frames,
    stamp_of,
)

HEIGHT, WIDTH = 16, 24
ORIGIN = Origin(5, "camera")


def picture() -> np.ndarray:
    """A smooth picture, red on the left and blue at the bottom, uint8 RGB (HEIGHT, WIDTH, 3)."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([255 - 10 * columns, np.full_like(rows, 40), 15 * rows], axis=2).clip(0, 255).astype(np.uint8)


def image(pixels: np.ndarray, encoding: str) -> Image:
    """Message of an image, uint8 (H, W) or (H, W, channels)."""
    height, width = pixels.shape[:2]
    return Image(height=height, width=width, encoding=encoding, step=pixels.nbytes // height, data=pixels.tobytes())


def encoded(rgb: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    PictureFile.fromarray(rgb).save(buffer, kind, **options)
    return buffer.getvalue()


def rgb_of(message: Image | CompressedImage) -> np.ndarray:
    frame = frame_from(message, ORIGIN)
    assert isinstance(frame, Frame), frame
    assert frame.rgb.dtype == np.uint8 and frame.rgb.shape[2] == 3
    return frame.rgb


def test_color_encodings_give_the_same_picture() -> None:
    rgb = picture()
    np.testing.assert_array_equal(rgb_of(image(rgb, "rgb8")), rgb)
    np.testing.assert_array_equal(rgb_of(image(rgb[:, :, ::-1].copy(), "bgr8")), rgb)
    with_alpha = np.dstack([rgb, np.full((HEIGHT, WIDTH), 7, np.uint8)])
    np.testing.assert_array_equal(rgb_of(image(with_alpha, "rgba8")), rgb)


def test_gray_becomes_three_equal_channels() -> None:
    gray = picture()[:, :, 2].copy()
    np.testing.assert_array_equal(rgb_of(image(gray, "mono8")), np.dstack([gray] * 3))


def test_bayer_pattern_becomes_its_colors() -> None:
    red, green, blue = 200, 90, 30
    mosaic = np.empty((HEIGHT, WIDTH), np.uint8)
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = red, blue
    mosaic[0::2, 1::2] = mosaic[1::2, 0::2] = green
    inner = rgb_of(image(mosaic, "bayer_rggb8"))[2:-2, 2:-2]
    np.testing.assert_array_equal(inner, np.broadcast_to([red, green, blue], inner.shape))


def test_padded_rows_are_cut_off() -> None:
    padded = np.zeros((HEIGHT, WIDTH * 3 + 5), np.uint8)
    padded[:, : WIDTH * 3] = picture().reshape(HEIGHT, -1)
    message = image(padded, "rgb8")
    message.width = WIDTH
    np.testing.assert_array_equal(rgb_of(message), picture())


def test_byte_order_means_nothing_for_single_bytes() -> None:
    message = image(picture(), "rgb8")
    message.is_bigendian = 1
    np.testing.assert_array_equal(rgb_of(message), picture())


def test_what_cv_bridge_makes_is_read_back() -> None:
    np.testing.assert_array_equal(rgb_of(CvBridge().cv2_to_imgmsg(picture(), encoding="rgb8")), picture())


def test_jpeg_is_kept_as_it_came() -> None:
    data = encoded(picture(), "JPEG", quality=95)
    frame = frame_from(CompressedImage(format="jpeg", data=data), ORIGIN)
    assert isinstance(frame, Frame) and frame.jpeg == data
    assert np.abs(frame.rgb.astype(int) - picture()).mean() < 4
    assert encoded_tiles(frame, HEIGHT, WIDTH, jpeg=True) == [data]
    assert len(encoded_tiles(frame, HEIGHT // 2, WIDTH // 2, jpeg=True)) == 4


def test_png_is_exact_and_sent_as_jpeg_or_pixels() -> None:
    frame = frame_from(CompressedImage(format="png", data=encoded(picture(), "PNG")), ORIGIN)
    assert isinstance(frame, Frame) and frame.jpeg is None
    np.testing.assert_array_equal(frame.rgb, picture())
    (jpeg,) = encoded_tiles(frame, HEIGHT, WIDTH, jpeg=True)
    decoded = cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.abs(decoded.astype(int) - picture()).mean() < 4
    assert encoded_tiles(frame, HEIGHT, WIDTH, jpeg=False) == [picture().tobytes()]


def test_frame_smaller_than_a_tile_is_refused() -> None:
    message = image(picture(), "rgb8")
    frame = frame_from(message, ORIGIN)
    assert isinstance(frame, Frame)
    with pytest.raises(TileError, match=f"{message.width}x{message.height}"):
        encoded_tiles(frame, HEIGHT + 1, WIDTH, jpeg=False)


@pytest.mark.parametrize(
    "message",
    [
        image(picture(), "rgb9"),
        image(picture(), ""),
        Image(encoding="rgb8"),
        Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=WIDTH * 3, data=bytes(7)),
        Image(height=2**32 - 1, width=2**32 - 1, encoding="rgb8", step=2**32 - 1, data=bytes(7)),
        Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=WIDTH * 4, data=picture().tobytes()),
        CompressedImage(format="jpeg", data=b""),
        CompressedImage(format="jpeg", data=b"\xff\xd8\xff broken"),
        CompressedImage(format="png", data=b"\x89PNG\r\n\x1a\n"),
    ],
    ids=lambda message: f"{type(message).__name__}-{len(message.data)}",
)
def test_unreadable_images_say_why(message: Image | CompressedImage) -> None:
    frame = frame_from(message, ORIGIN)
    assert isinstance(frame, UnreadableFrame)
    assert frame.number == 5 and frame.reason


@settings(max_examples=200, deadline=None)
@given(
    encoding=st.sampled_from(
        ["rgb8", "bgr8", "mono8", "mono16", "16UC1", "32FC3", "bayer_rggb8", "8UC3", "yuv422", "x"]
    ),
    height=st.integers(0, 64) | st.just(2**31),
    width=st.integers(0, 64) | st.just(2**31),
    step=st.integers(0, 256) | st.just(2**32 - 1),
    data=st.binary(max_size=4096),
    big_endian=st.booleans(),
)
def test_no_image_message_does_harm(
    encoding: str, height: int, width: int, step: int, data: bytes, big_endian: bool
) -> None:
    order = int(big_endian)
    message = Image(height=height, width=width, encoding=encoding, step=step, data=data, is_bigendian=order)
    frame = frame_from(message, ORIGIN)
    if isinstance(frame, Frame):
        assert frame.rgb.shape == (height, width, 3) and frame.rgb.dtype == np.uint8


@pytest.mark.parametrize(
    ("sec", "nanosec", "stamp"),
    [(0, 0, None), (0, 1, 1), (7, 5, 7_000_000_005), (-1, 0, None), (-(2**31), 2**32 - 1, None)],
)
def test_a_stamp_is_that_of_a_clock_that_was_set(sec: int, nanosec: int, stamp: int | None) -> None:
    message = image(picture(), "rgb8")
    message.header.stamp.sec, message.header.stamp.nanosec = sec, nanosec
    assert stamp_of(message) == stamp


def test_bag_frames_are_known_by_their_position_whatever_their_stamps(tmp_path: Path) -> None:
    good = encoded(picture(), "JPEG")
    images = [good, b"\xff\xd8\xff broken", good]
    write_bag(tmp_path / "bag", [LabelledFrame(data, 0, "sea", str(n)) for n, data in enumerate(images)])
    frames = list(bag_frames(tmp_path / "bag", None))
    assert [(type(f), f.number) for f in frames] == [(Frame, 1), (UnreadableFrame, 2), (Frame, 3)]
    assert frames[0].origin.stamp_ns == START_NS
    assert [f.origin.name.rpartition("#")[2] for f in frames] == ["1", "2", "3"]
    assert frames[0].origin.digest != frames[1].origin.digest
    assert [f.number for f in bag_frames(tmp_path / "bag", None, wanted={3})] == [3]


def test_messages_that_a_bag_has_lost_have_their_places(tmp_path: Path) -> None:
    images = [encoded(picture(), "PNG")] * 40
    bag = write_bag_files(tmp_path / "bag", images)
    whole = bag.read_bytes()
    bag.write_bytes(whole[: len(whole) // 2])
    frames = list(bag_frames(tmp_path / "bag", None))
    assert [f.number for f in frames] == [*range(1, len(frames) + 1)]
    assert isinstance(frames[0], Frame)
    assert isinstance(frames[-1], UnreadableFrame) and frames[-1].cause == "source_damaged"


def write_bag_files(folder: Path, images: list[bytes]) -> Path:
    """A bag of these images; its storage file."""
    write_bag(folder, [LabelledFrame(data, 0, "sea", str(n)) for n, data in enumerate(images)])
    (storage,) = [file for file in folder.iterdir() if file.suffix in (".mcap", ".db3")]
    return storage


def test_folder_frames_come_in_the_manifests_order(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(encoded(picture(), "PNG"))
    (tmp_path / "a.jpg").write_bytes(encoded(picture(), "JPEG"))
    (tmp_path / "c.jpg").write_bytes(b"no image")
    manifest = take_manifest("folder", tmp_path, "")
    (tmp_path / "0.jpg").write_bytes(encoded(picture(), "JPEG"))
    frames = list(folder_frames(tmp_path, manifest))
    assert [(type(f), f.number) for f in frames] == [(Frame, 1), (Frame, 2), (UnreadableFrame, 3)]
    assert "c.jpg" in frames[2].reason and frames[2].cause == "unreadable_image"
    np.testing.assert_array_equal(frames[1].rgb, picture())
    assert list(source_frames(SourceKind("folder", tmp_path), manifest))[0].origin == frames[0].origin
