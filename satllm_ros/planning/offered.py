"""Codec settings a planner may choose from, with what was measured of them."""

from __future__ import annotations

from collections.abc import Sequence

from satllm_ros.compression.artefacts import Artefacts
from satllm_ros.compression.setting import CodecSetting
from satllm_ros.planning.problem import Setting


def offered_settings(artefacts: Artefacts, names: Sequence[str]) -> list[Setting]:
    """Settings by name, with the compression ratio q, the accuracy and the codec's time that calibration measured.

    Raises
    ------
    ValueError
        If a name is no setting, or these artefacts hold no measurement of it.
    """
    offered = []
    for name in names:
        measured = artefacts.measured(CodecSetting.parse(name))
        # A raw frame is a few bytes longer than what it holds; the planner's ratios end at 1.
        offered.append(
            Setting(
                name,
                ratio=min(1.0, measured.ratio),
                accuracy=measured.accuracy,
                encode_s_per_byte=measured.encode_s_per_byte,
                decode_s_per_byte=measured.decode_s_per_byte,
            )
        )
    return offered
