from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from satllm_ros.compression.calibration.calibrate import calibrate
from satllm_ros.compression.calibration.channel_statistics import ChannelStatistics
from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.errors import ArtefactError
from satllm_ros.compression.wire.setting import Codec, CodecSetting


@pytest.mark.parametrize("pieces", [1, 3, 20])
def test_statistics_of_pieces_are_those_of_the_whole(pieces: int) -> None:
    samples = np.random.default_rng(0).normal(1e4, 2, (20, 3, 5))
    statistics = ChannelStatistics()
    for piece in np.array_split(samples, pieces):
        statistics.add(piece)
    assert statistics.count == 20
    np.testing.assert_allclose(statistics.mean, samples.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(statistics.std, samples.std(axis=0), rtol=1e-9)
    deviation = np.abs(samples - samples.mean(axis=0)).max(axis=0)
    np.testing.assert_allclose(statistics.largest_deviation, deviation, rtol=1e-9)


def test_steps_are_an_eighth_of_the_spread_of_patches_and_finer_for_the_class_token() -> None:
    activation = np.random.default_rng(0).normal(3, 2, (400, 9, 4)).astype(np.float32)
    scales = calibrate([{1: activation[:200]}, {1: activation[200:]}], prefix_tokens=1)[1]
    np.testing.assert_allclose(scales.mean, activation[:, 1:].mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(scales.step, activation[:, 1:].std(axis=(0, 1)) / 8, rtol=1e-5)
    np.testing.assert_allclose(scales.prefix_mean, activation[:, :1].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(scales.prefix_step, activation[:, :1].std(axis=0) / 64, rtol=1e-5)


def test_no_calibration_sample_is_clipped_however_far_out() -> None:
    activation = np.random.default_rng(0).normal(0, 1, (50, 9, 4)).astype(np.float32)
    activation[7, 3, 2] = 500
    activation[9, 0, 1] = -4000
    scales = calibrate([{1: activation}], prefix_tokens=1)
    artefacts = Artefacts("0" * 16, 1, 4, scales)
    frame = encode(activation, CodecSetting(Codec.INT8), artefacts, 1)
    decoded = decode(frame, artefacts, max_elements=10**6).activation
    assert abs(decoded[7, 3, 2] - 500) <= scales[1].step[2] / 2 * 1.001
    assert abs(decoded[9, 0, 1] + 4000) <= scales[1].prefix_step[0, 1] / 2 * 1.001


@pytest.mark.parametrize("value", [0.0, 7.5, -3e5, 1e-12])
def test_a_channel_that_never_changes_gets_usable_scales(value: float) -> None:
    activation = np.full((3, 4, 2), value, np.float32)
    artefacts = Artefacts("0" * 16, 1, 2, calibrate([{1: activation}], prefix_tokens=1))
    frame = encode(activation, CodecSetting(Codec.INT8), artefacts, 1)
    np.testing.assert_allclose(decode(frame, artefacts, max_elements=100).activation, activation, rtol=1e-6, atol=1e-6)


def test_models_without_prefix_tokens_are_calibrated() -> None:
    activation = np.random.default_rng(0).normal(0, 1, (5, 4, 3)).astype(np.float32)
    scales = calibrate([{1: activation}], prefix_tokens=0)
    assert Artefacts("0" * 16, 0, 3, scales).scales[1].prefix_mean.shape == (0, 3)


@pytest.mark.parametrize(
    ("batches", "sentence"),
    [
        ([], "at least one image"),
        ([{1: np.zeros((0, 4, 3), np.float32)}], r"cut 1 has shape \(0, 4, 3\)"),
        ([{1: np.zeros((2, 1, 3), np.float32)}], r"cut 1 has shape \(2, 1, 3\)"),
        ([{6: np.full((2, 4, 3), np.nan, np.float32)}], "cut 6 holds NaN"),
    ],
)
def test_unusable_samples_are_refused(batches: list[dict[int, NDArray[Any]]], sentence: str) -> None:
    with pytest.raises(ArtefactError, match=sentence):
        calibrate(batches, prefix_tokens=1)
