"""Image messages of cameras to 8-bit RGB, the same on every installation.

cv_bridge converts what the installed one can; OpenCV, by the same formulas, what it cannot: cv_bridge from PyPI knows
neither YUV nor padded rows, and may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage

from satllm_ros.data.images.decoding import ImageError, PixelsRefusedError, decode_image, read_samples
from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules
from satllm_ros.data.images.samples import Layout, resized, to_rgb

# OpenCV names a pattern by other two of its pixels than ROS.
_BAYER = {
    "bayer_rggb": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg": cv2.COLOR_BayerGB2RGB,
}
_YUV422 = {
    **dict.fromkeys(("yuv422", "uyvy"), cv2.COLOR_YUV2RGB_UYVY),
    **dict.fromkeys(("yuv422_yuy2", "yuyv"), cv2.COLOR_YUV2RGB_YUY2),
}
# A plane of Y, then one of U and V in turn, of half as many rows and columns; of nv24 all of them.
_YUV420 = {"nv12": cv2.COLOR_YUV2RGB_NV12, "nv21": cv2.COLOR_YUV2RGB_NV21}
_NV24 = "nv24"
_YUV = Layout(8, "unsigned", 3, 3)
# Places of gray or red, green, blue among the samples of a pixel, and how many samples there are.
_COLORS = {
    "mono": ((0,), 1),
    "rgb": ((0, 1, 2), 3),
    "bgr": ((2, 1, 0), 3),
    "rgba": ((0, 1, 2), 4),
    "bgra": ((2, 1, 0), 4),
}
# OpenCV's names of types say nothing of colors; everybody takes them for gray, and for its own order.
_OF_CHANNELS = {1: (0,), 3: (2, 1, 0), 4: (2, 1, 0)}
_NAMED = re.compile(r"(mono|rgba?|bgra?|bayer_[a-z]{4})(8|16)\Z")
_GENERIC = re.compile(r"(8U|8S|16U|16S|32S|32F|64F)C([1-9][0-9]?)\Z")
_KINDS = {"U": "u", "S": "i", "F": "f"}

READ = (
    *("rgb8", "bgr8", "rgba8", "bgra8", "mono8", "8UC1", "8UC3", "8UC4"),
    *(f"{pattern}8" for pattern in _BAYER),
    *(*_YUV422, *_YUV420, _NV24),
)
_READ = f"read are {', '.join(READ)}"
# Bytes a pixel of what one cv_bridge or another makes to rgb8.
_BRIDGED = {
    **{"mono8": 1, "rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4},
    **{f"{pattern}8": 1 for pattern in _BAYER},
    **dict.fromkeys(_YUV422, 2),
}
Samples = NDArray[Any]


def decode_message(message: Any, rules: PixelRules = AS_DECLARED) -> NDArray[np.uint8]:
    """Decode a sensor_msgs Image or CompressedImage.

    Parameters
    ----------
    rules
        What the user states beside what encoding or file declare.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) uint8, RGB.

    Raises
    ------
    PixelsRefusedError
        If neither the encoding nor the rules say what the samples mean; it names the encoding and those that are read.
    ImageError
        If size, step and bytes do not fit together, or the bytes of a file are damaged.
    """
    if isinstance(message, CompressedImage):
        return _decode_file(message, rules)
    try:
        return resized(_decode_raw(message, rules), rules.resize)
    except PixelsRefusedError as error:
        raise PixelsRefusedError(f"image of encoding {message.encoding!r} {error}") from error
    except ImageError as error:
        raise ImageError(f"image of encoding {message.encoding!r} {error}") from error


# Files in messages


def _decode_file(message: CompressedImage, rules: PixelRules) -> NDArray[np.uint8]:
    data, name = bytes(message.data), f"of format {message.format!r}"
    if "compressedDepth" in message.format:
        raise PixelsRefusedError(
            f"image {name} holds distances, not colors; a camera's pictures are read, raw or as JPEG, PNG or TIFF"
        )
    original, _, stored = message.format.partition(";")
    pattern = _NAMED.match(original.strip())
    # image_transport stores a mosaic as it is, as a gray picture of which the colors are still to be made.
    if pattern and pattern[1] in _BAYER and not re.search("rgb8|bgr8|rgb16|bgr16", stored):
        samples, layout, _ = read_samples(data, name, rules)
        if layout.bands == 1:
            rgb = to_rgb(_demosaiced(samples[:, :, 0], pattern[1]), replace(layout, bands=3, colors=3), rules)
            return resized(rgb, rules.resize)
    return decode_image(data, name, rules)


# Raw messages


def _decode_raw(message: Any, rules: PixelRules) -> NDArray[np.uint8]:
    if not message.height or not message.width:
        raise ImageError(f"is of {message.width}x{message.height} pixels")
    layout, read = _reading(message, rules)
    layout.check(rules, _READ)
    if rules.bands is None and (bridged := _through_bridge(message)) is not None:
        return bridged
    return to_rgb(read(), layout, rules)


def _reading(message: Any, rules: PixelRules) -> tuple[Layout, Callable[[], Samples]]:
    """What samples a message has, and what reads them, (H, W, bands), colors as red, green, blue."""
    encoding = message.encoding
    if encoding in _YUV422:
        return _YUV, lambda: _from_yuv422(message)
    if encoding in _YUV420:
        return _YUV, lambda: _from_yuv420(message)
    if encoding == _NV24:
        return _YUV, lambda: _from_nv24(message)
    if (named := _NAMED.match(encoding)) is not None:
        color, dtype = named[1], _dtype("u", int(named[2]), message)
        if color in _BAYER:
            return Layout.of(dtype, 3, 3), lambda: _from_bayer(message, color, dtype)
        if color in _COLORS:
            places, channels = _COLORS[color]
            layout = Layout.of(dtype, channels, len(places))
            return layout, lambda: _from_packed(message, dtype, channels, places)
    if (generic := _GENERIC.match(encoding)) is not None:
        channels, bits = int(generic[2]), int(generic[1][:-1])
        dtype = _dtype(_KINDS[generic[1][-1]], bits, message)
        # Of bands that are stated, the message's own order counts.
        places = _OF_CHANNELS.get(channels, ()) if rules.bands is None else ()
        layout = Layout.of(dtype, channels, len(places))
        return layout, lambda: _from_packed(message, dtype, channels, places)
    raise PixelsRefusedError(f"is not known; {_READ}")


def _from_packed(message: Any, dtype: np.dtype[Any], channels: int, places: tuple[int, ...]) -> Samples:
    rows = _rows(message, message.height, message.width * channels * dtype.itemsize)
    samples = np.ascontiguousarray(rows).view(dtype).reshape(message.height, message.width, channels)
    samples = samples.astype(dtype.newbyteorder("="), copy=False)
    return samples[:, :, [*places, *range(len(places), channels)]]


def _from_bayer(message: Any, pattern: str, dtype: np.dtype[Any]) -> Samples:
    rows = _rows(message, message.height, message.width * dtype.itemsize)
    mosaic = np.ascontiguousarray(rows).view(dtype)
    return _demosaiced(mosaic.astype(dtype.newbyteorder("="), copy=False), pattern)


def _demosaiced(mosaic: Samples, pattern: str) -> Samples:
    return _converted(np.ascontiguousarray(mosaic), _BAYER[pattern])


def _from_yuv422(message: Any) -> Samples:
    _check_even(message, "width")
    rows = _rows(message, message.height, message.width * 2)
    return _converted(rows.reshape(message.height, message.width, 2), _YUV422[message.encoding])


def _from_yuv420(message: Any) -> Samples:
    _check_even(message, "width")
    _check_even(message, "height")
    return _converted(_rows(message, message.height * 3 // 2, message.width), _YUV420[message.encoding])


def _from_nv24(message: Any) -> Samples:
    rows = _rows(message, message.height * 3, message.width)
    luma, chroma = np.split(rows, [message.height])
    blue, red = chroma.reshape(message.height, message.width, 2).transpose(2, 0, 1)
    # Each pixel as a pair of itself, so that the formula is that of the other encodings.
    pairs = np.stack([blue, luma, red, luma], axis=2).reshape(message.height, message.width * 2, 2)
    return _converted(pairs, cv2.COLOR_YUV2RGB_UYVY)[:, ::2]


def _check_even(message: Any, side: str) -> None:
    if getattr(message, side) % 2:
        raise ImageError(f"has a {side} of {getattr(message, side)}; pixels share colors, an even one is needed")


def _converted(samples: Samples, code: int) -> Samples:
    try:
        return cv2.cvtColor(np.ascontiguousarray(samples), code)
    except cv2.error as error:
        reason = " ".join(str(error).split())
        raise ImageError(f"of {samples.shape[1]}x{samples.shape[0]} samples cannot be converted ({reason})") from error


def _rows(message: Any, rows: int, row_bytes: int) -> NDArray[np.uint8]:
    """The bytes of all rows, (rows, row_bytes) uint8, without what pads them; nothing is copied.

    A step of 0, as some drivers leave it, means rows without padding.

    Raises
    ------
    ImageError
        If the message holds fewer bytes than its size and step say.
    """
    data = np.frombuffer(message.data, dtype=np.uint8)
    step = message.step or row_bytes
    if step < row_bytes:
        raise ImageError(f"has rows of {step} bytes; {message.width} pixels need {row_bytes}")
    # The last row may end with its pixels.
    needed = step * (rows - 1) + row_bytes
    if data.size < needed:
        raise ImageError(f"of {message.width}x{message.height} pixels needs {needed} bytes and has {data.size}")
    return np.lib.stride_tricks.as_strided(data, (rows, row_bytes), (step, 1), writeable=False)


def _dtype(kind: str, bits: int, message: Any) -> np.dtype[Any]:
    return np.dtype(f"{'>' if message.is_bigendian and bits > 8 else '<'}{kind}{bits // 8}")


# cv_bridge


def _through_bridge(message: Any) -> Samples | None:
    """RGB by cv_bridge; None where the installed one cannot, or one of them takes padding or byte order wrongly."""
    row_bytes = message.width * _BRIDGED.get(message.encoding, 0)
    is_plain = message.step == row_bytes and len(message.data) == message.height * row_bytes
    is_whole = message.encoding not in _YUV422 or message.width % 2 == 0
    if not row_bytes or not is_plain or not is_whole or message.is_bigendian or (bridge := _bridge()) is None:
        return None
    try:
        rgb = np.asarray(bridge.imgmsg_to_cv2(message, desired_encoding="rgb8"))
    # It raises whatever it stumbles on; each means that this one cannot.
    except Exception:  # noqa: BLE001
        return None
    return rgb if rgb.shape == (message.height, message.width, 3) and rgb.dtype == np.uint8 else None


@cache
def _bridge() -> Any:
    """A CvBridge, or None where there is none that works, as one built for another numpy."""
    try:
        from cv_bridge import CvBridge

        return CvBridge()
    except Exception:  # noqa: BLE001
        return None
