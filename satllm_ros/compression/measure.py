"""What a setting costs: accuracy with every cut compressed in cascade, real bytes and time."""

from collections.abc import Callable, Iterable, Sequence
from time import thread_time
from typing import Any

from numpy.typing import NDArray

from satllm_ros.compression.artefacts import Artefacts, Measurement
from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.setting import CodecSetting

Step = Callable[[NDArray[Any]], NDArray[Any]]


def measure(
    steps: Sequence[Step],
    batches: Iterable[tuple[NDArray[Any], NDArray[Any]]],
    setting: CodecSetting,
    artefacts: Artefacts,
    cuts: Sequence[int] | None = None,
) -> Measurement:
    """Run images through a model that is cut, compressing each activation on its way.

    Parameters
    ----------
    steps
        At least two functions; the first takes images, those between map activations, float32 (N, S, D) to
        (N, S, D), the last returns logits (N, E).
    cuts
        The cut after each step but the last; without it, every step is one block.
    batches
        Pairs of the first step's input and the true classes, (N,) integers; at least one.

    Returns
    -------
    Measurement
        Share of right predictions, the mean over all cuts of frame bytes / fp32 bytes, and the codec's processor time.
    """
    right = images = 0
    frame_bytes = fp32_bytes = 0
    encode_s = decode_s = 0.0
    for inputs, labels in batches:
        values = inputs
        for cut, step in zip(cuts or range(1, len(steps)), steps[:-1], strict=True):
            activation = step(values)
            start_s = thread_time()
            frame = encode(activation, setting, artefacts, cut)
            encoded_s = thread_time()
            frame_bytes += len(frame)
            fp32_bytes += activation.nbytes
            values = decode(frame, artefacts, max_elements=activation.size).activation
            encode_s += encoded_s - start_s
            decode_s += thread_time() - encoded_s
        right += int((steps[-1](values).argmax(axis=1) == labels).sum())
        images += len(labels)
    return Measurement(right / images, frame_bytes / fp32_bytes, encode_s / fp32_bytes, decode_s / fp32_bytes)
