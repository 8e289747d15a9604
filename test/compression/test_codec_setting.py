import math
import struct

import pytest

from satllm_ros.compression.wire.setting import Codec, CodecSetting, CodecSettingError


@pytest.mark.parametrize("codec", list(Codec))
def test_a_setting_survives_its_text(codec: Codec) -> None:
    setting = CodecSetting(codec)
    assert CodecSetting.parse(str(setting)) == setting


def test_the_numbers_on_the_wire_never_change() -> None:
    assert {codec.name: codec.value for codec in Codec} == dict(
        RAW=0, INT8=1, FP16=2, TOPK=3, RANDTOPK=4, MASK=5, MASK_DYNAMIC=6, KLT=7
    )


def test_raw_has_one_spelling() -> None:
    assert CodecSetting(Codec.RAW) == CodecSetting(Codec.RAW, 1.0, 32) == CodecSetting(Codec.RAW, 1.0, 8)
    assert CodecSetting(Codec.RAW).bits == 32


def test_a_plain_number_becomes_its_codec() -> None:
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
        (Codec.MASK, 0.0, 8),
        (Codec.MASK, 1e-60, 8),
        (Codec.MASK, 1.5, 8),
        (Codec.MASK, math.nan, 8),
        (Codec.TOPK, 0.5, 5),
        (Codec.MASK, 0.5, 9),
        (Codec.KLT, 0.5, 8),
        (Codec.KLT, 1.0, 64),
    ],
)
def test_what_no_codec_offers_is_refused(codec: Codec, keep_ratio: float, bits: int | None) -> None:
    with pytest.raises(CodecSettingError):
        CodecSetting(codec, keep_ratio, bits)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CodecSettingError, match="'int9' is unknown; allowed are raw, int8"):
        CodecSetting.parse("int9")


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("mask", "mask:0.2:8"),
        ("mask:0.05", "mask:0.05:8"),
        ("topk:1:6", "topk:1:6"),
        ("klt", "klt:16"),
        (" INT8", "int8"),
    ],
)
def test_what_is_left_out_is_the_usual_value(text: str, full: str) -> None:
    assert str(CodecSetting.parse(text)) == full
    assert CodecSetting.parse(full) == CodecSetting.parse(text)


@pytest.mark.parametrize("text", ["mask:a", "mask:0.2:x", "mask:0.2:8:1", "raw:8", "klt:1.5", "klt:1:2", "mask:", ""])
def test_a_text_of_another_form_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(CodecSettingError, match="codec setting"):
        CodecSetting.parse(text)


def test_a_keep_ratio_is_what_a_frame_can_carry() -> None:
    setting = CodecSetting(Codec.MASK, 0.2)
    assert setting.keep_ratio == struct.unpack("<f", struct.pack("<f", 0.2))[0]
    assert [setting.kept(n) for n in (2, 3, 12288)] == [0, 1, 2458]
