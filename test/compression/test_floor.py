"""Settings against an accuracy floor, by what was measured."""

from dataclasses import replace

from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tables.floor import below_floor
from satllm_ros.compression.tables.measurement import Measurement
from satllm_ros.compression.wire.setting import CodecSetting

INT8, RAW = CodecSetting.parse("int8"), CodecSetting.parse("raw")


def test_a_setting_is_held_against_what_was_measured_of_it(artefacts: Artefacts) -> None:
    measured = replace(artefacts, measurements={"int8": Measurement(ratio=0.2, accuracy=0.9)})

    assert below_floor(INT8, 0.9, measured) == ""
    assert below_floor(INT8, 0.91, measured) == "setting int8 has accuracy 0.9000, the plan asks for at least 0.9100"
    assert "never measured" in below_floor(RAW, 0.1, measured) and "measured: int8" in below_floor(RAW, 0.1, measured)
    assert below_floor(RAW, 0.0, measured) == ""
