"""What a setting costs: accuracy with every cut compressed in cascade, or with one alone, real bytes and time."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from time import thread_time
from typing import Any

from numpy.typing import NDArray

from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tables.measurement import CutMeasurement, Measurement
from satllm_ros.compression.wire.setting import CodecSetting

Step = Callable[[NDArray[Any]], NDArray[Any]]
Batches = Iterable[tuple[NDArray[Any], NDArray[Any]]]


def measure(
    steps: Sequence[Step],
    batches: Batches,
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


def measure_single_cuts(
    steps: Sequence[Step],
    batches: Batches,
    settings: Sequence[CodecSetting],
    artefacts: Artefacts,
    *,
    losses: bool = False,
) -> dict[str, dict[int, CutMeasurement]]:
    """What each setting costs at each cut alone, by setting and cut; every step is one block.

    Parameters
    ----------
    steps, batches
        As for `measure`.
    losses
        Also run on from every cut to find the accuracy lost, which takes L / 2 times as long for each setting.
    """
    right: Counter[tuple[str, int]] = Counter()
    frame_bytes: Counter[tuple[str, int]] = Counter()
    fp32_bytes: Counter[int] = Counter()
    uncompressed = images = 0
    for inputs, labels in batches:
        activations, values = [], inputs
        for step in steps[:-1]:
            values = step(values)
            activations.append(values)
        uncompressed += int((steps[-1](values).argmax(axis=1) == labels).sum())
        images += len(labels)
        for cut, activation in enumerate(activations, start=1):
            fp32_bytes[cut] += activation.nbytes
            for setting in settings:
                frame = encode(activation, setting, artefacts, cut)
                frame_bytes[str(setting), cut] += len(frame)
                if losses:
                    values = decode(frame, artefacts, max_elements=activation.size).activation
                    for step in steps[cut:]:
                        values = step(values)
                    right[str(setting), cut] += int((values.argmax(axis=1) == labels).sum())
    return {
        name: {
            cut: CutMeasurement(
                frame_bytes[name, cut] / fp32_bytes[cut],
                (uncompressed - right[name, cut]) / images if losses else None,
            )
            for cut in fp32_bytes
        }
        for name in map(str, settings)
    }
