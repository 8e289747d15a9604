"""Theory beside practice: Eq. 7, the bound of the entropy stage's own model, real bytes."""

from typing import TypeAlias

import numpy as np
import pytest
from made_models import SamplesMaker
from numpy.typing import NDArray

from satllm_ros.compression.codec import encode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tools.bench import bench, material
from satllm_ros.compression.tools.estimate import Estimate, estimate
from satllm_ros.compression.wire.frame import read_header, split_sections
from satllm_ros.compression.wire.setting import CodecSetting

Material: TypeAlias = tuple[NDArray[np.float32], Artefacts]


def estimated(activation: NDArray[np.float32], name: str, artefacts: Artefacts, cut: int) -> Estimate | None:
    frame = memoryview(encode(activation, CodecSetting.parse(name), artefacts, cut))
    header = read_header(frame, max_elements=activation.size)
    return estimate(header, split_sections(frame, header), artefacts)


@pytest.fixture(scope="module")
def large() -> Material:
    """What a ViT-Base sends: thousands of symbols an image."""
    return material((4, 197, 768))


@pytest.mark.parametrize(
    ("name", "share"), [("int8", 1), ("mask:0.2:8", 0.2), ("topk:0.5:8", 0.5), ("mask_dynamic", 0.2)]
)
def test_symbols_of_zstd_codecs_are_counted_and_within_two_percent_of_their_entropy(
    name: str, share: float, large: Material
) -> None:
    activation, artefacts = large
    found = estimated(activation, name, artefacts, 1)
    assert found.symbols == pytest.approx(share * activation[:, 1:].size, rel=1e-3)
    assert found.bound_bytes == found.eq7_bytes
    # Below it is possible: each chunk has tables of its own.
    assert 0.98 * found.eq7_bytes < found.stage_bytes < 1.02 * found.eq7_bytes


@pytest.mark.parametrize("name", ["klt:4", "klt:12", "klt:16", "klt:20", "klt:24"])
def test_the_range_coder_is_within_two_percent_of_its_tables(name: str, large: Material) -> None:
    activation, artefacts = large
    found = estimated(activation, name, artefacts, 1)
    assert found.bound_bytes <= found.stage_bytes < 1.02 * found.bound_bytes
    # Tables for each class beat the paper's single one.
    assert found.stage_bytes < found.eq7_bytes


def test_entropy_of_known_symbols(full_artefacts: Artefacts) -> None:
    scales = full_artefacts.scales[2]
    activation = np.broadcast_to(scales.mean, (2, 10, 8)).astype(np.float32)
    activation[:, 1::2] += 3 * scales.step
    found = estimated(activation, "int8", full_artefacts, 2)
    assert found.symbols == 144
    assert found.eq7_bytes == pytest.approx(-(80 * np.log2(80 / 144) + 64 * np.log2(64 / 144)) / 8)


def test_plain_codecs_have_no_estimate(full_artefacts: Artefacts, samples_maker: SamplesMaker) -> None:
    assert estimated(samples_maker(images=1), "raw", full_artefacts, 2) is None


def test_a_bench_row_holds_what_it_says() -> None:
    rows = list(bench((3, 10, 8), ["raw", "mask", "klt:8"], rounds=2))
    assert [(row.codec, row.setting) for row in rows[:3]] == [("raw", "raw"), ("mask", "mask:0.2:8"), ("klt", "klt:8")]
    assert "zstd" in {row.codec for row in rows[3:]}
    assert all(row.encode_gbps > 0 and row.decode_gbps > 0 and row.memcpy_gbps > 0 for row in rows)
    assert rows[0].bound_bytes is None and rows[2].bound_bytes <= rows[2].bytes
