"""Whether a codec setting keeps an accuracy floor, by what calibration measured."""

from __future__ import annotations

from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.setting import CodecSetting


def below_floor(setting: CodecSetting, floor: float, artefacts: Artefacts) -> str:
    """Why a setting must not be used under an accuracy floor (a share of 1), in one sentence; empty if it may.

    What was never measured keeps no floor but 0.
    """
    if floor <= 0.0:
        return ""
    measured = artefacts.measurements.get(str(setting))
    if measured is None:
        known = ", ".join(artefacts.measurements) or "none"
        return f"the accuracy of setting {setting} was never measured, the floor is {floor:.4f}; measured: {known}"
    if measured.accuracy < floor:
        return f"setting {setting} has accuracy {measured.accuracy:.4f}, the plan asks for at least {floor:.4f}"
    return ""
