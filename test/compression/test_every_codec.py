"""What holds for every codec, with numpy's loops and with the compiled ones."""

from pathlib import Path

import numpy as np
import pytest
from made_models import ArtefactsMaker, SamplesMaker
from numpy.typing import NDArray

from satllm_ros.compression.codec import Decoded, decode, encode
from satllm_ros.compression.coding import backend, native
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.errors import EncodeError
from satllm_ros.compression.wire.setting import Codec, CodecSetting

SETTINGS = ["raw", "fp16", "int8", "topk:0.2:8", "topk:0.5:6", "randtopk:0.2:8", "mask:0.2:8", "mask:0.7:6"]
SETTINGS += ["mask:1:7", "mask_dynamic:0.2:8", "mask_dynamic:0.5:6", "klt:0", "klt:8", "klt:19", "klt:63"]
LARGE = 10**7


def there_and_back(activation: NDArray[np.float32], name: str, artefacts: Artefacts) -> Decoded:
    setting = CodecSetting.parse(name)
    decoded = decode(encode(activation, setting, artefacts, 2), artefacts, max_elements=LARGE)
    assert decoded.setting == setting and decoded.cut == 2
    assert decoded.activation.shape == activation.shape and decoded.activation.dtype == np.float32
    assert np.isfinite(decoded.activation).all()
    return decoded


def test_every_codec_is_tried() -> None:
    assert {CodecSetting.parse(name).codec for name in SETTINGS} == set(Codec)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("sizes", [(1, 8, 9), (0, 5, 4), (3, 16, 25)])
def test_both_paths_of_code_give_the_same_frames_and_tensors(
    name: str,
    sizes: tuple[int, int, int],
    library: Path,
    monkeypatch: pytest.MonkeyPatch,
    full_artefacts_maker: ArtefactsMaker,
    samples_maker: SamplesMaker,
) -> None:
    kind = dict(zip(("prefix_tokens", "width", "patches"), sizes, strict=True))
    artefacts = full_artefacts_maker(**kind)
    activation = samples_maker(**kind, images=6, seed=9)
    frames, tensors = [], []
    for found in (None, native.load(library)):
        monkeypatch.setattr(backend, "loops", backend.choose(found))
        frames.append(encode(activation, CodecSetting.parse(name), artefacts, 2))
        tensors.append(decode(frames[-1], artefacts, max_elements=LARGE).activation.tobytes())
    assert frames[0] == frames[1]
    assert tensors[0] == tensors[1]


@pytest.mark.parametrize("name", SETTINGS)
def test_an_image_is_coded_the_same_alone_and_among_others(
    name: str, path_of_code: str, full_artefacts: Artefacts, samples_maker: SamplesMaker
) -> None:
    activation = samples_maker(images=5, seed=3)
    if name.startswith("mask_dynamic"):
        # Its range is the batch's: only with equal extremes are equal frames to be expected.
        activation = np.repeat(activation[:1], 5, axis=0)
    together = there_and_back(activation, name, full_artefacts).activation
    for image in range(5):
        alone = there_and_back(activation[image : image + 1], name, full_artefacts).activation
        np.testing.assert_allclose(alone[0], together[image], rtol=0, atol=0.2 if name.startswith("klt") else 0)


@pytest.mark.parametrize("name", SETTINGS)
def test_strided_activations_are_coded_like_contiguous_ones(
    name: str, path_of_code: str, full_artefacts: Artefacts, samples_maker: SamplesMaker
) -> None:
    stored = np.ascontiguousarray(samples_maker(images=3).transpose(1, 0, 2))
    frames = [encode(a, CodecSetting.parse(name), full_artefacts, 2) for a in (stored.transpose(1, 0, 2),)]
    frames.append(encode(stored.transpose(1, 0, 2).copy(), CodecSetting.parse(name), full_artefacts, 2))
    tensors = [decode(frame, full_artefacts, max_elements=LARGE).activation for frame in frames]
    np.testing.assert_allclose(tensors[0], tensors[1], atol=0.2 if name.startswith("klt") else 0)


# A NaN that reaches a cast to integers becomes whatever the processor likes; numpy warns of it.
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", SETTINGS)
def test_nan_and_infinity_are_replaced_and_counted(
    name: str, path_of_code: str, full_artefacts: Artefacts, samples_maker: SamplesMaker
) -> None:
    activation = samples_maker(images=2)
    assert there_and_back(activation, name, full_artefacts).replaced == 0
    # The whole token, so that something of it is sent whatever is masked.
    activation[0, 3], activation[1, 2], activation[1, 5] = np.nan, np.inf, -np.inf
    activation[1, 0, 4] = np.nan
    replaced = there_and_back(activation, name, full_artefacts).replaced
    assert replaced == 25 or (name.startswith("mask") and 1 < replaced < 25)


@pytest.mark.filterwarnings("error")
# The range of `mask_dynamic` is the batch's, as printed: see the next test.
@pytest.mark.parametrize("name", [name for name in SETTINGS if not name.startswith("mask_dynamic")])
@pytest.mark.parametrize("outlier", [1e6, 3e38, -3e38])
def test_a_huge_outlier_harms_no_other_image(
    name: str,
    outlier: float,
    path_of_code: str,
    full_artefacts: Artefacts,
    samples_maker: SamplesMaker,
) -> None:
    activation = samples_maker(images=3)
    clean = there_and_back(activation, name, full_artefacts).activation
    activation[1, 4, 3] = outlier
    dirty = there_and_back(activation, name, full_artefacts)
    np.testing.assert_array_equal(dirty.activation[[0, 2]], clean[[0, 2]])
    assert dirty.replaced == 0


def test_one_outlier_costs_a_dynamic_range_the_whole_batch(
    path_of_code: str, full_artefacts: Artefacts, samples_maker: SamplesMaker
) -> None:
    activation = samples_maker(images=3)
    order = full_artefacts.tables[2].mask_order
    sent = np.unravel_index(order[:3], (9, 8))
    activation[1, 1 + sent[0][0], sent[1][0]] = 1e6
    decoded = there_and_back(activation, "mask_dynamic:0.2:8", full_artefacts).activation
    lowest = np.abs(decoded[0, 1 + sent[0], sent[1]])
    # Every other value falls to the lowest magnitude, the least of the batch.
    assert (lowest == lowest[0]).all()


@pytest.mark.parametrize("name", ["topk:0.001:8", "randtopk:0.001:8", "mask:0.001:8", "mask_dynamic:0.001:8"])
def test_an_empty_mask_sends_nothing_and_leaves_the_fill(
    name: str, path_of_code: str, full_artefacts: Artefacts, samples_maker: SamplesMaker
) -> None:
    activation = samples_maker(images=2)
    assert CodecSetting.parse(name).kept(72) == 0
    decoded = there_and_back(activation, name, full_artefacts).activation[:, 1:]
    fill = full_artefacts.tables[2].token_mean[1:].astype(np.float32) if name.startswith("mask") else 0
    np.testing.assert_array_equal(decoded, np.broadcast_to(fill, decoded.shape))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["topk:0.5:8", "mask_dynamic:0.5:8"])
@pytest.mark.parametrize("value", [0.0, -2.5, 1e-44])
def test_a_range_of_zero_width_keeps_its_one_magnitude(
    name: str, value: float, path_of_code: str, full_artefacts: Artefacts
) -> None:
    activation = np.full((2, 10, 8), value, np.float32)
    decoded = there_and_back(activation, name, full_artefacts).activation[:, 1:]
    assert np.count_nonzero(decoded == np.float32(value)) >= 2 * 36


def test_a_channel_without_spread_becomes_its_mean(
    path_of_code: str, full_artefacts_maker: ArtefactsMaker, samples_maker: SamplesMaker
) -> None:
    from dataclasses import replace

    full = full_artefacts_maker()
    spread = np.array(full.tables[2].spread)
    spread[1, 3] = 0
    tables = {2: replace(full.tables[2], spread=spread), 3: full.tables[3]}
    artefacts = replace(full, tables=tables)
    decoded = there_and_back(samples_maker(images=2), "mask:1:8", artefacts).activation
    mean = artefacts.tables[2].token_mean.astype(np.float32)
    np.testing.assert_array_equal(decoded[:, 1:, 3], np.broadcast_to(mean[1:, 3], (2, 9)))


@pytest.mark.parametrize("name", ["mask", "mask_dynamic", "klt"])
@pytest.mark.parametrize("tokens", [9, 11])
def test_another_number_of_tokens_than_the_tables_is_refused(name: str, tokens: int, full_artefacts: Artefacts) -> None:
    with pytest.raises(EncodeError, match=f"{tokens} tokens; tables of cut 2 are for 10"):
        encode(np.zeros((1, tokens, 8), np.float32), CodecSetting.parse(name), full_artefacts, 2)


def test_a_finer_setting_errs_less_and_takes_more(
    path_of_code: str, full_artefacts: Artefacts, samples_maker: SamplesMaker
) -> None:
    activation = samples_maker(images=20, seed=5)
    for ladder in (["klt:24", "klt:16", "klt:8", "klt:2"], ["mask:0.1:8", "mask:0.4:8", "mask:1:8"]):
        frames = [encode(activation, CodecSetting.parse(name), full_artefacts, 2) for name in ladder]
        errors = [
            np.square(decode(f, full_artefacts, max_elements=LARGE).activation - activation).mean() for f in frames
        ]
        assert sorted(map(len, frames)) == [len(frame) for frame in frames]
        assert sorted(errors, reverse=True) == errors


def test_masks_are_nested(full_artefacts: Artefacts, samples_maker: SamplesMaker) -> None:
    activation = samples_maker(images=1)
    mean = full_artefacts.tables[2].token_mean.astype(np.float32)
    moved = activation + 3
    sent = [
        {tuple(i) for i in np.argwhere(there_and_back(moved, f"mask:{keep}:8", full_artefacts).activation[0] != mean)}
        for keep in (0.1, 0.3, 0.8)
    ]
    assert sent[0] < sent[1] < sent[2]
