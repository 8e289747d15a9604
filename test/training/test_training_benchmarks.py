"""What the benchmark programs of compression compute."""

import sys
from pathlib import Path

import numpy as np

from satllm_ros.assets.paths import DEMO_ARTEFACTS, DEMO_CHECKPOINT, asset
from satllm_ros.compression.tables.artefacts import load_artefacts
from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.data.labelled.datasets import load_dataset
from satllm_ros.training.evaluation.coded import CodedModel, evaluate_coded

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
from equal_bytes import matched_step  # noqa: E402

CUTS = (3, 9)


def test_the_step_at_equal_bytes_is_the_finest_that_takes_no_more(noise_data: Path) -> None:
    model = CodedModel(asset(DEMO_CHECKPOINT), load_artefacts(asset(DEMO_ARTEFACTS)))
    dataset, masks = load_dataset(noise_data, "test"), CodecSetting(Codec.MASK, 0.05, 6)
    chosen = np.arange(4)

    def coded_bytes(setting: CodecSetting) -> int:
        (found,) = evaluate_coded(model, dataset, chosen, [setting], CUTS, 2)
        return sum(hop.wire_bytes for hop in found.hops)

    found = matched_step(model, dataset, chosen, masks, CUTS, 2)
    assert found.codec is Codec.KLT and found.bits > 0
    assert coded_bytes(found) <= coded_bytes(masks) < coded_bytes(CodecSetting(Codec.KLT, bits=found.bits - 1))
