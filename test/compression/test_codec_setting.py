import math

import pytest

from satllm_ros.compression.setting import Codec, CodecSetting, CodecSettingError


@pytest.mark.parametrize("codec", list(Codec))
def test_a_setting_survives_its_text(codec):
    setting = CodecSetting(codec)
    assert CodecSetting.parse(str(setting)) == setting


def test_the_numbers_on_the_wire_never_change():
    assert {codec.name: codec.value for codec in Codec} == {"RAW": 0, "INT8": 1}


def test_raw_has_one_spelling():
    assert CodecSetting(Codec.RAW) == CodecSetting(Codec.RAW, 1.0, 32)
    assert CodecSetting(Codec.RAW).bits == 32


def test_a_plain_number_becomes_its_codec():
    assert CodecSetting(1).codec is Codec.INT8


@pytest.mark.parametrize(
    ("codec", "keep_ratio", "bits"),
    [
        (Codec.INT8, 0.5, 8),
        (Codec.INT8, math.nan, 8),
        (Codec.INT8, math.inf, 8),
        (Codec.INT8, 1.0, 7),
        (Codec.RAW, 0.5, 32),
        (Codec.RAW, 1.0, 16),
        (9, 1.0, 8),
    ],
)
def test_what_no_codec_offers_is_refused(codec, keep_ratio, bits):
    with pytest.raises(CodecSettingError):
        CodecSetting(codec, keep_ratio, bits)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(CodecSettingError, match="'int9' is unknown; allowed are raw, int8"):
        CodecSetting.parse("int9")
