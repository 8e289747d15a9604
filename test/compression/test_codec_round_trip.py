"""What goes into a frame comes out of it, to within half a step."""

import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_models import ArtefactsMaker
from numpy.typing import NDArray

from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tables.scales import CutScales
from satllm_ros.compression.wire.errors import ArtefactError, EncodeError
from satllm_ros.compression.wire.setting import Codec, CodecSetting

RAW = CodecSetting(Codec.RAW)
INT8 = CodecSetting(Codec.INT8)
LARGE = 10**7


Case: TypeAlias = tuple[Artefacts, NDArray[np.float32]]


@st.composite
def coded(draw: st.DrawFn) -> Case:
    """Scales and an activation that they cover and, here and there, do not."""
    images, prefix_tokens, patches = draw(st.integers(1, 4)), draw(st.integers(0, 3)), draw(st.integers(1, 9))
    width, seed = draw(st.integers(1, 17)), draw(st.integers(0, 2**32 - 1))
    magnitude, spread = 10.0 ** draw(st.integers(-6, 6)), draw(st.sampled_from([0.1, 10, 100]))
    generator = np.random.default_rng(seed)
    # A mean of up to 2^20 steps is the furthest from zero that artefacts allow.
    offset = draw(st.sampled_from([0.0, 1.0, 1e3, 1e6]))
    step = generator.uniform(0.5, 1.0, width) * magnitude
    prefix_step = generator.uniform(0.5, 1.0, (prefix_tokens, width)) * magnitude
    scales = CutScales(
        mean=step * generator.uniform(-offset, offset, width),
        step=step,
        prefix_mean=prefix_step * generator.uniform(-offset, offset, (prefix_tokens, width)),
        prefix_step=prefix_step,
    )
    artefacts = Artefacts("0" * 16, prefix_tokens, width, {3: scales})
    symbols = generator.normal(0, spread, (images, prefix_tokens + patches, width))
    activation = symbols * full(artefacts, "step", patches) + full(artefacts, "mean", patches)
    return artefacts, activation.astype(np.float32)


def full(artefacts: Artefacts, name: str, patches: int) -> np.ndarray:
    """Mean or step of every element, (S, D) float64."""
    arrays = artefacts.scales[3].arrays()
    patch_rows = np.tile(arrays[name], (patches, 1))
    return np.concatenate([arrays[f"prefix_{name}"], patch_rows]).astype(np.float64)


@settings(deadline=None)
@given(coded())
def test_values_come_back_within_half_a_step(case: Case) -> None:
    artefacts, activation = case
    decoded = decode(encode(activation, INT8, artefacts, 3), artefacts, max_elements=LARGE)
    assert (decoded.cut, decoded.setting, decoded.replaced) == (3, INT8, 0)
    assert decoded.activation.shape == activation.shape and decoded.activation.dtype == np.float32
    patches = activation.shape[1] - artefacts.prefix_tokens
    mean, step = full(artefacts, "mean", patches), full(artefacts, "step", patches)
    limit = np.where(np.arange(activation.shape[1]) < artefacts.prefix_tokens, 32767, 127)[:, None]
    nearest = np.clip(activation, mean - limit * step, mean + limit * step)
    float32_rounding = 4 * np.finfo(np.float32).eps * (np.abs(mean) + limit * step)
    assert (np.abs(decoded.activation - nearest) <= step / 2 + float32_rounding).all()


@settings(deadline=None)
@given(coded())
def test_coding_what_was_decoded_changes_nothing(case: Case) -> None:
    artefacts, activation = case
    frame = encode(activation, INT8, artefacts, 3)
    again = encode(decode(frame, artefacts, max_elements=LARGE).activation, INT8, artefacts, 3)
    assert again == frame


@settings(deadline=None)
@given(coded())
def test_raw_is_exact(case: Case) -> None:
    artefacts, activation = case
    decoded = decode(encode(activation, RAW, artefacts, 3), artefacts, max_elements=LARGE)
    assert decoded.activation.tobytes() == activation.tobytes()


def test_an_image_is_coded_the_same_alone_and_in_a_batch(artefacts: Artefacts) -> None:
    activation = np.random.default_rng(0).normal(0, 4, (5, 7, 8)).astype(np.float32)
    together = decode(encode(activation, INT8, artefacts, 2), artefacts, max_elements=LARGE).activation
    for image in range(5):
        alone = decode(encode(activation[image : image + 1], INT8, artefacts, 2), artefacts, max_elements=LARGE)
        np.testing.assert_array_equal(alone.activation[0], together[image])


@pytest.mark.parametrize("wrap", [bytes, memoryview, lambda b: np.frombuffer(b, np.uint8)])
def test_frames_are_read_from_any_buffer(artefacts: Artefacts, wrap: Callable[[bytes], Any]) -> None:
    activation = np.zeros((1, 3, 8), np.float32)
    frame = encode(activation, INT8, artefacts, 2)
    assert decode(wrap(frame), artefacts, max_elements=LARGE).activation.shape == (1, 3, 8)


def test_strided_activations_are_coded_like_contiguous_ones(artefacts: Artefacts) -> None:
    stored = np.random.default_rng(0).normal(0, 4, (8, 7, 5)).astype(np.float32)
    for setting in (RAW, INT8):
        assert encode(stored.T, setting, artefacts, 2) == encode(stored.T.copy(), setting, artefacts, 2)


# A NaN that reaches the cast to integers becomes whatever the processor likes; numpy warns of it.
@pytest.mark.filterwarnings("error")
def test_nan_and_infinity_become_mean_and_limits_and_are_counted(artefacts: Artefacts) -> None:
    scales = artefacts.scales[2]
    activation = np.tile(scales.mean, (2, 4, 1)).astype(np.float32)
    activation[:, 0] = scales.prefix_mean[0]
    clean = decode(encode(activation, INT8, artefacts, 2), artefacts, max_elements=LARGE).activation
    activation[0, 1, 2], activation[1, 3, 5], activation[1, 2, 0] = np.nan, np.inf, -np.inf
    activation[1, 0, 4] = np.nan
    decoded = decode(encode(activation, INT8, artefacts, 2), artefacts, max_elements=LARGE)
    assert decoded.replaced == 4
    expected = clean.copy()
    expected[1, 3, 5] = scales.mean[5] + np.float32(127) * scales.step[5]
    expected[1, 2, 0] = scales.mean[0] - np.float32(127) * scales.step[0]
    np.testing.assert_array_equal(decoded.activation, expected)


def test_raw_replaces_nan_and_infinity_by_zero_and_the_largest_number(artefacts: Artefacts) -> None:
    activation = np.ones((1, 3, 8), np.float32)
    activation[0, 0, 0], activation[0, 1, 1], activation[0, 2, 2] = np.nan, np.inf, -np.inf
    decoded = decode(encode(activation, RAW, artefacts, 2), artefacts, max_elements=LARGE)
    largest = np.finfo(np.float32).max
    assert decoded.replaced == 3
    assert [decoded.activation[0, i, i] for i in range(3)] == [0, largest, -largest]


def test_a_huge_outlier_harms_no_other_value(artefacts: Artefacts) -> None:
    activation = np.random.default_rng(0).normal(0, 4, (2, 7, 8)).astype(np.float32)
    activation[1, 4, 3] = artefacts.scales[2].mean[3]
    clean = decode(encode(activation, INT8, artefacts, 2), artefacts, max_elements=LARGE).activation
    activation[1, 4, 3] = 3e38
    decoded = decode(encode(activation, INT8, artefacts, 2), artefacts, max_elements=LARGE)
    changed = np.argwhere(decoded.activation != clean)
    np.testing.assert_array_equal(changed, [[1, 4, 3]])
    assert decoded.replaced == 0


def test_a_batch_of_ten_takes_less_than_a_fifth_of_its_float32_bytes(artefacts_maker: ArtefactsMaker) -> None:
    artefacts = artefacts_maker(width=192)
    scales = artefacts.scales[3]
    normal = np.random.default_rng(0).standard_normal((10, 65, 192))
    activation = scales.mean + 8 * scales.step * normal
    activation[:, 0] = scales.prefix_mean + 64 * scales.prefix_step * normal[:, :1].mean(axis=1)
    frame = encode(activation.astype(np.float32), INT8, artefacts, 3)
    assert len(frame) < 4 * activation.size / 5


def test_threads_do_not_disturb_each_other(artefacts_maker: ArtefactsMaker) -> None:
    artefacts = artefacts_maker(width=768)
    activations = [np.random.default_rng(i).normal(0, 4, (2, 65, 768)).astype(np.float32) for i in range(8)]
    expected = [encode(a, INT8, artefacts, 2) for a in activations]
    wrong = []

    def work(index: int) -> None:
        for _ in range(20):
            frame = encode(activations[index], INT8, artefacts, 2)
            if frame != expected[index] or decode(frame, artefacts, max_elements=LARGE).cut != 2:
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    "activation",
    [
        np.zeros((2, 3, 8), np.float64),
        np.zeros((3, 8), np.float32),
        np.zeros((2, 3, 7), np.float32),
        np.zeros((2, 1, 8), np.float32),
        np.zeros((0, 3, 8), np.float32),
    ],
)
def test_unfit_activations_are_refused_with_their_shape(artefacts: Artefacts, activation: NDArray[Any]) -> None:
    with pytest.raises(EncodeError, match=str(activation.shape[-1])):
        encode(activation, INT8, artefacts, 2)


def test_a_cut_without_scales_is_refused_by_int8_and_coded_by_raw(artefacts: Artefacts) -> None:
    activation = np.ones((1, 3, 8), np.float32)
    with pytest.raises(ArtefactError, match="no scales for cut 5; calibrated cuts: 2, 3"):
        encode(activation, INT8, artefacts, 5)
    assert decode(encode(activation, RAW, artefacts, 5), artefacts, max_elements=LARGE).cut == 5


@pytest.mark.parametrize("cut", [0, -1, 65536])
def test_a_cut_that_the_header_cannot_hold_is_refused(artefacts: Artefacts, cut: int) -> None:
    with pytest.raises(EncodeError, match=f"cut {cut} is out of range"):
        encode(np.ones((1, 3, 8), np.float32), RAW, artefacts, cut)
