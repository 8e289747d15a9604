"""The one decoder: what a file declares is read, what it does not is refused unless somebody says what it means."""

import io

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import HEIGHT, WIDTH, encoded, picture, png16, png_chunk, tiff, turned
from PIL import Image, ImageOps

from satllm_ros.data.images.decoding import ImageError, PixelsRefusedError, decode_image, jpeg_as_is
from satllm_ros.data.images.jpeg import decode_jpeg
from satllm_ros.data.images.pixels import PixelRules

GRAY = picture()[:, :, 0]
REFLECTANCE = (picture().astype(np.float64) / 255 * 2750).astype(np.uint16)
SCALE = 255 / 2750
SIX_BANDS = np.concatenate([REFLECTANCE, REFLECTANCE[:, :, ::-1]], axis=2)


def as_gray(samples: np.ndarray) -> np.ndarray:
    return np.repeat(samples.reshape(*samples.shape[:2], 1), 3, axis=2)


def scaled(samples: np.ndarray, scale: float = SCALE) -> np.ndarray:
    return np.clip(np.rint(samples.astype(np.float64) * scale), 0, 255).astype(np.uint8)


# As declared


@pytest.mark.parametrize(
    "data",
    [
        encoded(picture(), "PNG"),
        encoded(picture(), "TIFF"),
        encoded(picture(), "TIFF", compression="tiff_lzw"),
        encoded(picture(), "TIFF", compression="tiff_adobe_deflate"),
        encoded(picture(), "TIFF", compression="packbits"),
        tiff(picture(), photometric="rgb", byteorder=">"),
        tiff(picture(), photometric="rgb", bigtiff=True),
        tiff(np.moveaxis(picture(), 2, 0), photometric="rgb", planarconfig="separate"),
        tiff(picture(32, 48), photometric="rgb", tile=(16, 16)),
        encoded(picture(), "BMP"),
        encoded(picture(), "WEBP", lossless=True),
    ],
    ids=["png", "tiff", "lzw", "deflate", "packbits", "big-endian", "bigtiff", "planes", "tiled", "bmp", "webp"],
)
def test_lossless_files_decode_to_their_pixels(data: bytes) -> None:
    found = decode_image(data, "x")
    np.testing.assert_array_equal(found, picture(*found.shape[:2]))


@pytest.mark.parametrize(
    "data",
    [
        encoded(GRAY, "PNG"),
        encoded(GRAY, "TIFF"),
        encoded(np.dstack([GRAY, 255 - GRAY]), "PNG"),
        tiff(np.dstack([GRAY, 255 - GRAY]), extrasamples=["unassalpha"]),
        tiff(255 - GRAY, photometric="miniswhite"),
    ],
    ids=["png", "tiff", "png with alpha", "tiff with alpha", "white is zero"],
)
def test_gray_becomes_three_equal_channels(data: bytes) -> None:
    np.testing.assert_array_equal(decode_image(data, "x"), as_gray(GRAY))


def test_declared_alpha_is_left_out() -> None:
    with_alpha = np.dstack([picture(), GRAY])
    for data in (
        encoded(with_alpha, "PNG"),
        encoded(with_alpha, "TIFF"),
        tiff(with_alpha, photometric="rgb", extrasamples=["assocalpha"]),
    ):
        np.testing.assert_array_equal(decode_image(data, "x"), picture())


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF", "BMP"])
def test_palettes_give_their_colors(kind: str) -> None:
    image = Image.fromarray(picture()).quantize(64)
    np.testing.assert_array_equal(decode_image(encoded(image, kind), "x"), np.array(image.convert("RGB")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_bit_a_pixel_is_black_or_white(kind: str) -> None:
    image = Image.fromarray(GRAY > 100)
    np.testing.assert_array_equal(decode_image(encoded(image, kind), "x"), as_gray((GRAY > 100) * np.uint8(255)))


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_inks_become_the_colors_that_they_are_declared_for(kind: str) -> None:
    inks = Image.fromarray(picture()).convert("CMYK")
    data = encoded(inks, kind)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(decode_image(data, "x"), np.array(image.convert("RGB")))
    assert np.abs(decode_image(data, "x").astype(int) - picture()).mean() < 20


def test_overviews_and_masks_of_a_tiff_are_no_pictures() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(picture(), photometric="rgb", metadata=None)
        writer.write(picture()[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
        writer.write(GRAY > 100, subfiletype=4, photometric="mask", metadata=None)
    np.testing.assert_array_equal(decode_image(buffer.getvalue(), "x"), picture())


def test_a_preview_in_a_jpeg_is_no_second_picture() -> None:
    data = encoded(picture(), "MPO", save_all=True, append_images=[Image.fromarray(picture(6, 10))])
    np.testing.assert_array_equal(decode_image(data, "x"), decode_jpeg(data))


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_every_format_is_turned_as_it_declares(kind: str, orientation: int) -> None:
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98}}.get(kind, {})
    data = encoded(picture(), kind, exif=turned(orientation), **options)
    stored = decode_jpeg(data) if kind == "JPEG" else picture()
    expected = ImageOps.exif_transpose(_with(Image.fromarray(stored), orientation))
    np.testing.assert_array_equal(decode_image(data, "x"), np.array(expected))


def _with(image: Image.Image, orientation: int) -> Image.Image:
    image.getexif()[0x0112] = orientation
    return image


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0MM", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + bytes(64)]
)
def test_a_damaged_exif_block_says_nothing(block: bytes) -> None:
    data = encoded(picture(), "JPEG", exif=block)
    np.testing.assert_array_equal(decode_image(data, "x"), decode_jpeg(data))


def test_an_orientation_that_does_not_exist_says_nothing() -> None:
    assert decode_image(encoded(picture(), "JPEG", exif=turned(9)), "x").shape == (HEIGHT, WIDTH, 3)


# JPEG: the same pixels on the ground and on a satellite


@pytest.mark.parametrize(
    ("data", "as_is"),
    [
        (encoded(picture(), "JPEG"), True),
        (encoded(picture(33, 17), "JPEG", quality=60, subsampling="4:2:0"), True),
        (encoded(picture(33, 17), "JPEG", quality=95, subsampling="4:4:4", progressive=True), True),
        (encoded(GRAY, "JPEG"), True),
        (encoded(picture(), "JPEG", exif=turned(1)), True),
        (encoded(picture(), "JPEG", exif=turned(6)), False),
        (encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG"), False),
        (encoded(picture(), "PNG"), False),
    ],
    ids=["plain", "4:2:0", "progressive", "gray", "upright", "turned", "cmyk", "png"],
)
def test_a_jpeg_passes_untouched_only_if_satellites_read_the_same_from_it(data: bytes, as_is: bool) -> None:
    assert jpeg_as_is(data) == as_is
    if as_is:
        np.testing.assert_array_equal(decode_jpeg(data), decode_image(data, "x"))


def test_a_jpeg_of_chosen_bands_or_another_size_does_not_pass() -> None:
    data = encoded(picture(16, 16), "JPEG")
    assert not jpeg_as_is(data, PixelRules(bands=(3, 2, 1)))
    assert not jpeg_as_is(data, PixelRules(resize=8))
    assert jpeg_as_is(data, PixelRules(resize=16))


# Refused, and read once it is said how

WIDE = {
    "16-bit gray PNG": (png16(REFLECTANCE[:, :, :1]), as_gray(scaled(REFLECTANCE[:, :, 0])), "16-bit unsigned"),
    "16-bit RGB PNG": (png16(REFLECTANCE), scaled(REFLECTANCE), "16-bit unsigned samples, 3 bands"),
    "16-bit RGBA PNG": (
        png16(np.dstack([REFLECTANCE, REFLECTANCE[:, :, 0]])),
        scaled(REFLECTANCE),
        "16-bit unsigned samples, 4 bands",
    ),
    "16-bit gray PNG with alpha": (
        png16(REFLECTANCE[:, :, :2]),
        as_gray(scaled(REFLECTANCE[:, :, 0])),
        "16-bit unsigned samples, 2 bands",
    ),
    "16-bit gray TIFF": (tiff(REFLECTANCE[:, :, 0]), as_gray(scaled(REFLECTANCE[:, :, 0])), "16-bit unsigned"),
    "16-bit RGB TIFF": (tiff(REFLECTANCE, photometric="rgb"), scaled(REFLECTANCE), "16-bit unsigned samples, 3 bands"),
    "16-bit big-endian TIFF": (
        tiff(REFLECTANCE, photometric="rgb", byteorder=">", compression="lzw", predictor=True),
        scaled(REFLECTANCE),
        "16-bit unsigned",
    ),
    "int16 TIFF": (
        tiff(REFLECTANCE.astype(np.int16) - 900, photometric="rgb"),
        scaled(REFLECTANCE.astype(int) - 900),
        "16-bit signed",
    ),
    "int8 TIFF": (
        tiff((GRAY // 2).astype(np.int8)),
        as_gray(scaled(GRAY // 2)),
        "8-bit signed",
    ),
    "float32 TIFF": (
        tiff(REFLECTANCE.astype(np.float32) + np.float32(0.25), photometric="rgb"),
        scaled(REFLECTANCE + 0.25),
        "32-bit float",
    ),
    "float64 TIFF": (tiff(GRAY.astype(np.float64) * 10), as_gray(scaled(GRAY.astype(int) * 10)), "64-bit float"),
    "uint32 TIFF": (tiff(REFLECTANCE[:, :, 0].astype(np.uint32)), as_gray(scaled(REFLECTANCE[:, :, 0])), "32-bit"),
}


@pytest.mark.parametrize(("data", "expected", "named"), WIDE.values(), ids=WIDE)
def test_wide_samples_are_refused_until_their_scale_is_stated(data: bytes, expected: np.ndarray, named: str) -> None:
    with pytest.raises(PixelsRefusedError, match=rf"image deep has .*{named}.*8-bit gray and RGB.*state pixel_scale"):
        decode_image(data, "deep")
    np.testing.assert_array_equal(decode_image(data, "deep", PixelRules(pixel_scale=SCALE)), expected)


def test_twelve_bits_are_named_as_twelve() -> None:
    data = tiff(REFLECTANCE[:, :, 0])
    # The tag of bits a sample, one short: 16 becomes 12.
    place = data.index(bytes([2, 1, 3, 0, 1, 0, 0, 0, 16, 0]))
    with pytest.raises(PixelsRefusedError, match="12-bit unsigned"):
        decode_image(data[: place + 8] + b"\x0c" + data[place + 9 :], "x")


BANDS = {
    "8-bit RGB and an undeclared band": (np.dstack([picture(), GRAY]), {"photometric": "rgb"}),
    "three bands without a color": (picture(), {}),
    "five bands": (np.dstack([picture(), GRAY, GRAY]), {}),
    "five planes": (np.moveaxis(np.dstack([picture(), GRAY, GRAY]), 2, 0), {"planarconfig": "separate"}),
}


@pytest.mark.parametrize(("samples", "options"), BANDS.values(), ids=BANDS)
def test_undeclared_bands_are_refused_until_they_are_stated(samples: np.ndarray, options: dict[str, str]) -> None:
    data = tiff(samples, **options)
    if options.get("photometric") == "rgb":
        data = _without_extra_samples(data)
    with pytest.raises(PixelsRefusedError, match=r"image x has 8-bit unsigned samples, [345] bands.*state bands"):
        decode_image(data, "x")
    np.testing.assert_array_equal(decode_image(data, "x", PixelRules(bands=(3, 2, 1))), picture()[:, :, ::-1])
    np.testing.assert_array_equal(decode_image(data, "x", PixelRules(bands=(2,))), as_gray(picture()[:, :, 1]))


def _without_extra_samples(data: bytes) -> bytes:
    """The tag ExtraSamples (338), if there is one, renamed to one that nobody knows."""
    return data.replace(b"\x52\x01\x03\x00", b"\xfe\xff\x03\x00")


def test_wide_bands_need_both_statements() -> None:
    data = tiff(SIX_BANDS)
    for rules, missing in (
        (PixelRules(), "bands .* and pixel_scale"),
        (PixelRules(bands=(4, 5, 6)), "state pixel_scale"),
        (PixelRules(pixel_scale=SCALE), "state bands"),
    ):
        with pytest.raises(PixelsRefusedError, match=f"16-bit unsigned samples, 6 bands.*{missing}"):
            decode_image(data, "x", rules)
    found = decode_image(data, "x", PixelRules(bands=(4, 5, 6), pixel_scale=SCALE))
    np.testing.assert_array_equal(found, scaled(REFLECTANCE[:, :, ::-1]))


def test_a_band_that_is_not_there_is_named() -> None:
    with pytest.raises(PixelsRefusedError, match="3 bands a pixel; band 4 is asked for"):
        decode_image(encoded(picture(), "PNG"), "x", PixelRules(bands=(4, 3, 2)))


def test_samples_of_eight_bits_are_as_they_are_whatever_the_scale() -> None:
    rules = PixelRules(pixel_scale=0.01)
    np.testing.assert_array_equal(decode_image(encoded(picture(), "PNG"), "x", rules), picture())


def test_what_is_no_number_is_black_and_what_is_too_large_is_white() -> None:
    values = np.array([[np.nan, np.inf, -np.inf], [-1.0, 300.0, 7.5]], np.float32)
    found = decode_image(tiff(values), "x", PixelRules(pixel_scale=1.0))
    np.testing.assert_array_equal(found[:, :, 0], [[0, 255, 0], [0, 255, 8]])


def animated(kind: str) -> bytes:
    return encoded(picture(), kind, save_all=True, append_images=[Image.fromarray(picture()[::-1].copy())])


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF", "WEBP", "MPO"])
def test_several_pictures_are_refused(kind: str) -> None:
    with pytest.raises(PixelsRefusedError, match="image film holds .*pictures; one picture a file is read"):
        decode_image(animated(kind), "film")


def test_a_jpeg_of_twelve_bits_is_refused_by_its_bits() -> None:
    data = bytearray(encoded(picture(), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(PixelsRefusedError, match="12-bit"):
        decode_image(bytes(data), "x")


def test_colors_of_another_kind_are_refused() -> None:
    data = encoded(Image.fromarray(picture()).convert("LAB"), "TIFF")
    with pytest.raises(PixelsRefusedError, match="without a declared color"):
        decode_image(data, "x")


# Resizing


def test_the_middle_is_cut_out_and_resampled() -> None:
    tall = np.zeros((90, 30, 3), np.uint8)
    tall[30:60] = 200
    found = decode_image(encoded(tall, "PNG"), "x", PixelRules(resize=10))
    np.testing.assert_array_equal(found, np.full((10, 10, 3), 200))


def test_a_short_side_of_that_length_is_only_cut() -> None:
    found = decode_image(encoded(picture(12, 21), "PNG"), "x", PixelRules(resize=12))
    np.testing.assert_array_equal(found, picture(12, 21)[:, 4:16])


def test_resampling_is_pillows_bicubic() -> None:
    square = picture(40, 40)
    found = decode_image(encoded(square, "PNG"), "x", PixelRules(resize=16))
    # As in the package: the name that old Pillows have too.
    np.testing.assert_array_equal(found, np.array(Image.fromarray(square).resize((16, 16), Image.BICUBIC)))  # type: ignore[attr-defined]


def test_a_smaller_image_is_made_larger_after_it_was_turned() -> None:
    data = encoded(picture(6, 9), "PNG", exif=turned(6))
    assert decode_image(data, "x", PixelRules(resize=12)).shape == (12, 12, 3)


# Damage


@pytest.mark.parametrize(
    "data", [b"", b"no image", b"\xff\xd8\xff\xe0", b"II*\0", b"\x89PNG\r\n\x1a\n", b"RIFF0000WEBP"]
)
def test_what_is_no_image_is_named(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"image cloud\.jpg .*a JPEG, PNG or TIFF is expected"):
        decode_image(data, "cloud.jpg")


WHOLE = {
    "jpeg": encoded(picture(64, 64), "JPEG"),
    "png": encoded(picture(64, 64), "PNG"),
    "png16": png16(picture(64, 64).astype(np.uint16)),
    "tiff": encoded(picture(64, 64), "TIFF"),
    "tiff lzw": encoded(picture(64, 64), "TIFF", compression="tiff_lzw"),
    "tiff16": tiff(picture(64, 64).astype(np.uint16), photometric="rgb"),
}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_a_file_that_is_cut_off_is_refused_not_filled_up(data: bytes, share: float) -> None:
    with pytest.raises(ImageError) as caught:
        decode_image(data[: int(len(data) * share)], "torn", PixelRules(pixel_scale=1.0))
    assert not isinstance(caught.value, PixelsRefusedError)


def test_more_pixels_than_the_bytes_can_hold_ask_for_no_memory() -> None:
    header = b"\x00\x00\xff\xff" * 2 + b"\x10\x02\x00\x00\x00"
    forged = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")
    with pytest.raises(ImageError, match="declares 65535x65535 pixels, more than"):
        decode_image(forged, "x", PixelRules(pixel_scale=1.0))
    for wide in (encoded(picture(), "TIFF", compression="tiff_lzw"), tiff(REFLECTANCE, photometric="rgb")):
        place = next(p for tag in (b"\x00\x01\x03\x00", b"\x00\x01\x04\x00") if (p := wide.find(tag)) > 0)
        forged = wide[: place + 2] + b"\x04\x00\x01\x00\x00\x00\xff\xff\xff\x00" + wide[place + 12 :]
        with pytest.raises(ImageError, match="declares .* pixels"):
            decode_image(forged, "x", PixelRules(pixel_scale=1.0))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=300, deadline=None)
@given(data=st.data(), whole=st.sampled_from(sorted(WHOLE)))
def test_damaged_files_are_refused_or_decoded_but_never_crash(data: st.DataObject, whole: str) -> None:
    file = bytearray(WHOLE[whole])
    for _ in range(data.draw(st.integers(1, 5))):
        # Most of what can go wrong stands in the first bytes or, of TIFF files, in the last.
        place = data.draw(st.integers(0, 300) | st.integers(-300, -1) | st.integers(0, len(file) - 1))
        file[place % len(file)] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_image(bytes(file[: data.draw(st.just(len(file)) | st.integers(0, len(file)))]), "x")
    except ImageError:
        return
    assert decoded.dtype == np.uint8 and decoded.ndim == 3 and decoded.shape[2] == 3
