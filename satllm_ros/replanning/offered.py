"""Codec settings a planner may choose from, with what was measured of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tables.measurement import Measurement
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.planning.problem.problem import Setting


def offered_settings(artefacts: Artefacts, names: Sequence[str], blocks: int) -> list[Setting]:
    """Settings by name, with what calibration measured: ratio and loss at each cut, accuracy, and the codec's time.

    A cut that was not measured has the setting's mean ratio and the mean of the losses measured. Without any measured
    loss, each cut is taken to lose what all cuts alike lose together.

    Parameters
    ----------
    blocks
        L of the model, which has the cuts 1..L-1.

    Raises
    ------
    ValueError
        If there is no name, one is no setting, or these artefacts hold no measurement of it.
    """
    if not names:
        raise ValueError("no codec setting is offered; at least one is needed, such as raw")
    settings = [CodecSetting.parse(name) for name in names]
    return [_offered(str(setting), artefacts.measured(setting), blocks - 1) for setting in settings]


def _offered(name: str, found: Measurement, cuts: int) -> Setting:
    losses = {cut: one.loss for cut, one in found.by_cut.items() if one.loss is not None}
    return Setting(
        name,
        ratio=ratio_by_cut({cut: one.ratio for cut, one in found.by_cut.items()}, found.ratio, cuts),
        accuracy=found.accuracy,
        encode_s_per_byte=found.encode_s_per_byte,
        decode_s_per_byte=found.decode_s_per_byte,
        loss=loss_by_cut(losses, cuts),
    )


def ratio_by_cut(measured: Mapping[int, float], mean: float, cuts: int) -> float | tuple[float, ...]:
    """Ratios of the cuts 1..`cuts`, the mean where none was measured; one number if none was measured anywhere.

    A raw frame is a few bytes longer than what it holds; the planner's ratios end at 1.
    """
    ratios = tuple(min(1.0, measured.get(cut, mean)) for cut in range(1, cuts + 1))
    return ratios if measured else min(1.0, mean)


def loss_by_cut(measured: Mapping[int, float], cuts: int) -> tuple[float, ...] | None:
    """Losses of the cuts 1..`cuts`, their mean where none was measured; None if none was measured anywhere."""
    if not measured:
        return None
    mean = sum(measured.values()) / len(measured)
    return tuple(measured.get(cut, mean) for cut in range(1, cuts + 1))
