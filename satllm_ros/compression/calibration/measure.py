"""What a setting costs: accuracy with every cut compressed in cascade, or with one alone, real bytes and time."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from satllm_ros.compression.calibration.cut_model import CutModel, Hop
from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tables.measurement import CutMeasurement, Measurement
from satllm_ros.compression.wire.setting import CodecSetting

Batches = Iterable[tuple[NDArray[Any], NDArray[Any]]]


def measure(
    model: CutModel, batches: Batches, settings: Mapping[int, CodecSetting], artefacts: Artefacts
) -> Measurement:
    """Run images through a model, compressing the activation at each cut that has a setting on its way.

    Parameters
    ----------
    batches
        Pairs of the model's input and the true classes, (N,) integers; at least one.
    settings
        By cut; a cut that is not named is not compressed.

    Returns
    -------
    Measurement
        Share of right predictions, the mean over these cuts of frame bytes / fp32 bytes, 1 without any, and the codec's
        processor time.
    """
    right = images = 0
    hops = {cut: Hop(cut) for cut in settings}
    for inputs, labels in batches:
        right += int((model.run_coded(inputs, settings, artefacts, hops).argmax(axis=1) == labels).sum())
        images += len(labels)
    if not hops:
        return Measurement(right / images, 1.0)
    fp32_bytes = sum(hop.fp32_bytes for hop in hops.values())
    return Measurement(
        right / images,
        sum(hop.wire_bytes for hop in hops.values()) / fp32_bytes,
        sum(hop.encode_s for hop in hops.values()) / fp32_bytes,
        sum(hop.decode_s for hop in hops.values()) / fp32_bytes,
    )


def measure_single_cuts(
    model: CutModel,
    batches: Batches,
    settings: Sequence[CodecSetting],
    artefacts: Artefacts,
    *,
    losses: bool = False,
) -> dict[str, dict[int, CutMeasurement]]:
    """What each setting costs at each cut alone, by setting and cut.

    Parameters
    ----------
    model
        Of at least two blocks.
    batches
        As for `measure`.
    losses
        Also run on from every cut to find the accuracy lost, which takes L / 2 times as long for each setting.
    """
    # One that is named twice, or in two ways, is measured once.
    settings = list(dict.fromkeys(settings))
    right: Counter[tuple[str, int]] = Counter()
    frame_bytes: Counter[tuple[str, int]] = Counter()
    fp32_bytes: Counter[int] = Counter()
    uncompressed = images = 0
    for inputs, labels in batches:
        activations = model.at_cuts(inputs)
        last = max(activations)
        if losses:
            uncompressed += int((model.run(activations[last], last).argmax(axis=1) == labels).sum())
        images += len(labels)
        for cut, activation in activations.items():
            fp32_bytes[cut] += activation.nbytes
            for setting in settings:
                frame = encode(activation, setting, artefacts, cut)
                frame_bytes[str(setting), cut] += len(frame)
                if losses:
                    arrived = decode(frame, artefacts, max_elements=activation.size).activation
                    right[str(setting), cut] += int((model.run(arrived, cut).argmax(axis=1) == labels).sum())
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
