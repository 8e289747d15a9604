"""A small made-up model for the codecs: 1 prefix token, width 8, cuts 2 and 3 calibrated."""

import numpy as np
import pytest

from satllm_ros.compression.artefacts import Artefacts
from satllm_ros.compression.scales import CutScales

MODEL_ID = "0123456789abcdef"


def make_artefacts(*, prefix_tokens: int = 1, width: int = 8, seed: int = 0, model_id: str = MODEL_ID) -> Artefacts:
    """Random usable scales for cuts 2 and 3."""
    generator = np.random.default_rng(seed)
    scales = {
        cut: CutScales(
            mean=generator.normal(0, 3, width),
            step=generator.uniform(0.01, 0.5, width),
            prefix_mean=generator.normal(0, 3, (prefix_tokens, width)),
            prefix_step=generator.uniform(0.001, 0.01, (prefix_tokens, width)),
        )
        for cut in (2, 3)
    }
    return Artefacts(model_id, prefix_tokens, width, scales)


@pytest.fixture(scope="session")
def artefacts() -> Artefacts:
    return make_artefacts()


@pytest.fixture(scope="session")
def artefacts_maker():
    return make_artefacts
