"""Training, folders, cameras and satellites: the same file gives the same pixels wherever it is read."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from sensor_msgs.msg import CompressedImage

from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules
from satllm_ros.data.labelled.datasets import load_dataset
from satllm_ros.data.manifest import Manifest
from satllm_ros.data.tiles import cut_tiles, decode_tiles
from satllm_ros.nodes.images.frames import Frame, Origin, UnreadableFrame, encoded_tiles, folder_frames, frame_from

HEIGHT, WIDTH = 16, 24
PICTURE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
SCALED = PixelRules(pixel_scale=255 / 2750)


def file(kind: str, image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def oriented(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return file(kind, Image.fromarray(PICTURE), exif=exif)


def tiff(samples: np.ndarray, photometric: str) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, photometric=photometric, metadata=None)
    return buffer.getvalue()


FILES: dict[str, tuple[str, bytes, PixelRules]] = {
    "jpeg": ("jpg", file("JPEG", Image.fromarray(PICTURE), subsampling="4:2:0"), AS_DECLARED),
    "gray jpeg": ("jpg", file("JPEG", Image.fromarray(PICTURE[:, :, 0])), AS_DECLARED),
    "cmyk jpeg": ("jpg", file("JPEG", Image.fromarray(PICTURE).convert("CMYK")), AS_DECLARED),
    **{
        f"{kind} {n}": (suffix, oriented(kind, n), AS_DECLARED)
        for kind, suffix in (("JPEG", "jpg"), ("PNG", "png"))
        for n in (2, 3, 6, 7)
    },
    "16-bit tiff": ("tif", tiff(PICTURE.astype(np.uint16) * 10, "rgb"), SCALED),
    "float tiff": ("tif", tiff(PICTURE.astype(np.float32) * 10, "rgb"), SCALED),
    "resized": ("png", file("PNG", Image.fromarray(PICTURE)), PixelRules(resize=10)),
}


def frame_of_folder(folder: Path, rules: PixelRules = AS_DECLARED) -> Frame | UnreadableFrame:
    """The frame of the one file in a folder."""
    (file,) = folder.iterdir()
    manifest = Manifest("folder", str(folder), ((file.name, file.stat().st_size),), {})
    (frame,) = folder_frames(folder, manifest, rules)
    return frame


@pytest.mark.parametrize(("suffix", "data", "rules"), FILES.values(), ids=FILES)
def test_a_file_gives_the_same_pixels_in_training_and_in_flight(
    suffix: str, data: bytes, rules: PixelRules, tmp_path: Path
) -> None:
    (tmp_path / "set" / "land").mkdir(parents=True)
    (tmp_path / "set" / "land" / f"a.{suffix}").write_bytes(data)

    trained = load_dataset(tmp_path / "set", "all").with_pixels(rules).image(0)
    of_folder = frame_of_folder(tmp_path / "set" / "land", rules)
    of_camera = frame_from(CompressedImage(data=data), Origin(1, "image"), rules)
    for frame in (of_folder, of_camera):
        assert isinstance(frame, Frame)
        np.testing.assert_array_equal(frame.rgb, trained)
        # As one tile: by its own file if that is passed on, else by pixels.
        height, width = trained.shape[:2]
        (tile,) = encoded_tiles(frame, height, width, jpeg=frame.jpeg is not None)
        flown = decode_tiles(memoryview(tile), [len(tile)], height, width, jpeg=frame.jpeg is not None)
        np.testing.assert_array_equal(flown[0], trained)


def test_tiles_of_a_turned_frame_are_those_of_the_upright_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(oriented("PNG", 6))
    frame = frame_of_folder(tmp_path)
    assert isinstance(frame, Frame)
    first, *_ = cut_tiles(frame.rgb, 8, 8)
    np.testing.assert_array_equal(first, np.rot90(PICTURE, -1)[:8, :8])


@pytest.mark.parametrize("name", ["16-bit tiff", "float tiff"])
def test_what_training_refuses_flight_refuses_in_the_same_words(name: str, tmp_path: Path) -> None:
    suffix, data, _ = FILES[name]
    (tmp_path / "set" / "land").mkdir(parents=True)
    (tmp_path / "set" / "land" / f"a.{suffix}").write_bytes(data)
    frame = frame_of_folder(tmp_path / "set" / "land")
    assert isinstance(frame, UnreadableFrame)
    with pytest.raises(ValueError, match="pixel_scale") as caught:
        load_dataset(tmp_path / "set", "all").image(0)
    assert str(caught.value).replace("land/", "") == frame.reason
