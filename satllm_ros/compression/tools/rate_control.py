"""The setting for a budget: at most so many bytes an image, or at most so much accuracy lost."""

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.codec import encode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.errors import EncodeError
from satllm_ros.compression.wire.setting import Codec, CodecSetting

_COARSEST_STEP = 63


def within_accuracy(artefacts: Artefacts, max_loss: float) -> CodecSetting:
    """The setting with the fewest bytes of those measured that lose at most `max_loss` (a share of 1) against `raw`.

    Raises
    ------
    ArtefactError
        If `raw` was not measured.
    """
    floor = artefacts.measured(CodecSetting(Codec.RAW)).accuracy - max_loss
    # Measured accuracies are shares of whole images: differences of rounding must not decide.
    fit = {name: found.ratio for name, found in artefacts.measurements.items() if found.accuracy >= floor - 1e-9}
    return CodecSetting.parse(min(fit, key=fit.__getitem__))


def encode_within(
    activation: NDArray[np.float32], artefacts: Artefacts, cut: int, *, bytes_per_image: float
) -> tuple[bytes, CodecSetting]:
    """Code with `klt` and the finest step whose frame, everything counted, keeps to so many bytes an image.

    Raises
    ------
    EncodeError
        If the coarsest step does not.
    """
    most = bytes_per_image * len(activation)
    low, high, best = 0, _COARSEST_STEP, None
    # Frames shrink as steps grow, though not strictly: what is returned was measured, not assumed.
    while low <= high:
        middle = (low + high) // 2
        setting = CodecSetting(Codec.KLT, bits=middle)
        frame = encode(activation, setting, artefacts, cut)
        if len(frame) <= most:
            best, high = (frame, setting), middle - 1
        else:
            low = middle + 1
    if best is None:
        raise EncodeError(
            f"{len(frame) / len(activation):.0f} bytes an image is the least for this activation; "
            f"asked for are {bytes_per_image:g}"
        )
    return best
