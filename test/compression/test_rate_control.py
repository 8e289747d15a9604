"""A budget of bytes or of accuracy chooses the setting."""

from dataclasses import replace

import pytest
from made_models import SamplesMaker

from satllm_ros.compression.codec import decode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tables.measurement import CutMeasurement, Measurement
from satllm_ros.compression.tools.rate_control import encode_within, within_accuracy
from satllm_ros.compression.wire.errors import ArtefactError, EncodeError
from satllm_ros.compression.wire.setting import Codec
from satllm_ros.replanning.offered import offered_settings


@pytest.fixture
def measured(full_artefacts: Artefacts) -> Artefacts:
    found = {
        "raw": Measurement(0.9, 1.001),
        "int8": Measurement(0.9, 0.16, 1e-9, 2e-9),
        "klt:12": Measurement(0.895, 0.02),
        "klt:16": Measurement(0.89, 0.01),
        "mask:0.2:8": Measurement(0.4, 0.04),
    }
    return replace(full_artefacts, measurements=found)


@pytest.mark.parametrize(("loss", "chosen"), [(0.0, "int8"), (0.004, "int8"), (0.005, "klt:12"), (0.01, "klt:16")])
def test_the_smallest_setting_within_a_loss_is_chosen(measured: Artefacts, loss: float, chosen: str) -> None:
    assert str(within_accuracy(measured, loss)) == chosen


def test_a_loss_without_a_reference_is_refused(full_artefacts: Artefacts) -> None:
    with pytest.raises(ArtefactError, match="no measurement of setting raw"):
        within_accuracy(full_artefacts, 0.1)


@pytest.mark.parametrize("bytes_per_image", [26, 30, 40, 60, 1000])
def test_frames_keep_to_their_bytes_and_use_them(
    bytes_per_image: float, full_artefacts: Artefacts, samples_maker: SamplesMaker
) -> None:
    activation = samples_maker(images=8, seed=4)
    frame, setting = encode_within(activation, full_artefacts, 2, bytes_per_image=bytes_per_image)
    assert len(frame) <= 8 * bytes_per_image
    decoded = decode(frame, full_artefacts, max_elements=activation.size)
    assert decoded.setting == setting and setting.codec is Codec.KLT
    if setting.bits > 0:
        finer = replace(setting, bits=setting.bits - 1)
        from satllm_ros.compression.codec import encode

        assert len(encode(activation, finer, full_artefacts, 2)) > 8 * bytes_per_image


def test_a_budget_below_an_empty_frame_is_refused(full_artefacts: Artefacts, samples_maker: SamplesMaker) -> None:
    with pytest.raises(EncodeError, match="asked for are 9"):
        encode_within(samples_maker(images=4), full_artefacts, 2, bytes_per_image=9)


def test_the_planner_is_told_what_a_codec_costs(measured: Artefacts) -> None:
    (setting,) = offered_settings(measured, ["int8"], 12)
    assert (setting.ratio, setting.accuracy) == (0.16, 0.9)
    assert (setting.encode_s_per_byte, setting.decode_s_per_byte) == (1e-9, 2e-9)
    assert setting.loss is None


def test_the_planner_is_told_of_single_cuts_and_means_stand_for_those_not_measured(measured: Artefacts) -> None:
    by_cut = {2: CutMeasurement(0.3, 0.02), 3: CutMeasurement(1.5, 0.04), 4: CutMeasurement(0.1)}
    found = replace(measured.measurements["int8"], by_cut=by_cut)
    (setting,) = offered_settings(replace(measured, measurements={"int8": found}), ["int8"], 6)
    assert setting.ratio == (0.16, 0.3, 1.0, 0.1, 0.16)
    assert setting.loss == pytest.approx((0.03, 0.02, 0.04, 0.03, 0.03))
