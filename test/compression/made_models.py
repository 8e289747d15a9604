"""Small made-up models for the codecs: 1 prefix token, width 8, cuts 2 and 3 calibrated."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.calibration.calibrate import calibrate
from satllm_ros.compression.calibration.calibrate_tables import calibrate_tables
from satllm_ros.compression.calibration.sensitivity import Sensitivity
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tables.scales import CutScales

# What the fixtures give: `make_artefacts` or `make_full_artefacts`, and `make_samples`.
ArtefactsMaker: TypeAlias = Callable[..., Artefacts]
SamplesMaker: TypeAlias = Callable[..., NDArray[np.float32]]
MODEL_ID = "0123456789abcdef"
CUTS = (2, 3)


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
        for cut in CUTS
    }
    return Artefacts(model_id, prefix_tokens, width, scales)


def make_samples(
    *, prefix_tokens: int = 1, width: int = 8, patches: int = 9, images: int = 40, seed: int = 0
) -> NDArray[np.float32]:
    """Activations of a made-up model: channels that depend on each other, neighboring tokens alike."""
    model, generator = np.random.default_rng(1), np.random.default_rng(seed)
    mixing = model.normal(0, 1, (width, width)) * 2.0 ** -np.arange(width)[:, None]
    offset = model.normal(0, 2, (prefix_tokens + patches, width))
    tokens = generator.normal(0, 1, (images, prefix_tokens + patches + 1, width))
    smooth = tokens[:, 1:] + tokens[:, :-1]
    return (smooth @ mixing + offset).astype(np.float32)


def make_full_artefacts(*, prefix_tokens: int = 1, width: int = 8, patches: int = 9, seed: int = 0) -> Artefacts:
    """Scales and tables, calibrated on `make_samples` of the same sizes."""
    generator = np.random.default_rng(seed)
    sizes = {"prefix_tokens": prefix_tokens, "width": width, "patches": patches}
    batch = {cut: make_samples(**sizes, seed=seed + cut) for cut in CUTS}
    directions = generator.normal(0, 0.05, (3 * width, width))
    metric = directions.T @ directions / len(directions)
    squares = generator.uniform(0.5, 2, (prefix_tokens + patches, width)) * np.diag(metric)
    found = Sensitivity(metric, 10 * metric, squares)
    tables, coefficients = calibrate_tables(lambda: [batch], dict.fromkeys(CUTS, found), prefix_tokens)
    scales = calibrate([batch], prefix_tokens)
    return Artefacts(MODEL_ID, prefix_tokens, width, scales, tables=tables, coefficients=coefficients)
