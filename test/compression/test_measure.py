"""What is measured of settings at all cuts and at single ones, on made-up steps."""

from typing import Any

import numpy as np
import pytest
from made_models import SamplesMaker
from numpy.typing import NDArray

from satllm_ros.compression.calibration.cut_model import CutModel
from satllm_ros.compression.calibration.measure import measure, measure_single_cuts
from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tables.measurement import Measurement
from satllm_ros.compression.wire.setting import CodecSetting

INT8, RAW = CodecSetting.parse("int8"), CodecSetting.parse("raw")


@pytest.fixture
def batches(samples_maker: SamplesMaker) -> list[Any]:
    """Labels are what the uncompressed model says, but for one."""
    found = []
    for seed in range(2):
        values = samples_maker(images=16, seed=seed)
        labels = logits(narrow(narrow(values))).argmax(axis=1)
        labels[0] = 1 - labels[0]
        found.append((values, labels))
    return found


def narrow(values: NDArray[Any]) -> NDArray[Any]:
    return (values * np.float32(0.5)).astype(np.float32)


def logits(values: NDArray[Any]) -> NDArray[Any]:
    """The answer hangs on the last digits, which int8 does not keep."""
    folded = np.sin(50 * values[:, 1])
    return folded[:, :2]


def alone(batches: list[Any], artefacts: Artefacts, cut: int) -> Any:
    right = 0
    for values, labels in batches:
        for at in (2, 3):
            values = narrow(values)
            if at == cut:
                frame = encode(values, INT8, artefacts, at)
                values = decode(frame, artefacts, max_elements=values.size).activation
        right += int((logits(values).argmax(axis=1) == labels).sum())
    return right / 32


@pytest.fixture
def shifted(full_artefacts: Artefacts) -> Artefacts:
    """The same scales for cuts 1 and 2: steps are blocks here."""
    scales = {cut - 1: held for cut, held in full_artefacts.scales.items()}
    return Artefacts(full_artefacts.model_id, 1, 8, scales)


def test_single_losses_are_those_of_one_cut_alone(
    batches: list[Any], full_artefacts: Artefacts, shifted: Artefacts
) -> None:
    found = measure_single_cuts(CutModel([narrow, narrow, logits]), batches, [RAW, INT8], shifted, losses=True)
    assert {cut: one.loss for cut, one in found["raw"].items()} == {1: 0.0, 2: 0.0}
    expected = {cut - 1: 30 / 32 - alone(batches, full_artefacts, cut) for cut in (2, 3)}
    assert {cut: one.loss for cut, one in found["int8"].items()} == pytest.approx(expected) and any(expected.values())


def test_each_cut_has_the_ratio_of_its_own_frames(batches: list[Any], shifted: Artefacts) -> None:
    model = CutModel([narrow, narrow, logits])
    found = measure_single_cuts(model, batches, [INT8], shifted)["int8"]
    frames = [len(encode(narrow(values), INT8, shifted, 1)) for values, _ in batches]
    assert found[1].ratio == pytest.approx(sum(frames) / sum(values.nbytes for values, _ in batches))
    assert found[1].ratio != found[2].ratio and found[1].loss is None
    cascade = measure(model, batches, dict.fromkeys(model.cuts, INT8), shifted)
    assert cascade.ratio == pytest.approx((found[1].ratio + found[2].ratio) / 2, rel=0.05)


def test_cuts_without_a_setting_are_not_compressed(
    batches: list[Any], full_artefacts: Artefacts, shifted: Artefacts
) -> None:
    model = CutModel([narrow, narrow, logits])
    found = measure_single_cuts(model, batches, [INT8], shifted)["int8"]
    one = measure(model, batches, {2: INT8}, shifted)
    assert (one.accuracy, one.ratio) == (alone(batches, full_artefacts, 3), found[2].ratio)
    assert measure(model, batches, {}, shifted) == Measurement(30 / 32, 1.0)


def test_a_setting_that_is_named_twice_is_measured_once(batches: list[Any], shifted: Artefacts) -> None:
    model = CutModel([narrow, narrow, logits])
    once = measure_single_cuts(model, batches, [INT8], shifted, losses=True)
    assert measure_single_cuts(model, batches, [INT8, CodecSetting.parse("int8")], shifted, losses=True) == once
