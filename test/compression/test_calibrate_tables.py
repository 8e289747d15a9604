"""Masks and transforms from calibration do what they are for."""

import numpy as np
import pytest
from made_models import ArtefactsMaker, SamplesMaker
from numpy.typing import NDArray

from satllm_ros.compression.calibration.transform import FINEST_STEP, channel_transform, token_transform
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tables.cut_tables import LEVELS_PER_STEP, TOKEN_UNIT


@pytest.fixture(scope="module")
def moments() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    generator = np.random.default_rng(0)
    gradients = generator.normal(0, 0.1, (50, 12)) * 2.0 ** -np.arange(12)
    values = generator.normal(0, 1, (4000, 12)) @ generator.normal(0, 1, (12, 12))
    return gradients.T @ gradients / 50, values


def test_a_transform_decorrelates_and_comes_back(moments: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    metric, values = moments
    made = channel_transform(metric, values.T @ values / len(values))
    coefficients = values @ made.matrix()
    correlation = np.corrcoef(coefficients.T)
    assert np.abs(correlation - np.eye(12)).max() < 0.01
    assert (np.diff(coefficients.std(axis=0)) < 0).all()
    inverse = made.inverse * made.inverse_scale.astype(np.float64) * LEVELS_PER_STEP * TOKEN_UNIT
    # Whole numbers of 16 bits keep about four digits.
    np.testing.assert_allclose(coefficients @ inverse, values, atol=5e-3 * np.abs(values).max())


def test_an_error_of_a_coefficient_is_one_of_the_logits(
    moments: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    metric, values = moments
    made = channel_transform(metric, values.T @ values / len(values))
    inverse = made.inverse * made.inverse_scale.astype(np.float64) * LEVELS_PER_STEP * TOKEN_UNIT
    mixed = 0.95 * metric + 0.05 * np.trace(metric) / 12 * np.eye(12)
    for error in np.eye(12):
        moved = error @ inverse
        assert moved @ mixed @ moved == pytest.approx(FINEST_STEP**2, rel=0.02)


def test_token_transforms_are_orthonormal_and_compact() -> None:
    generator = np.random.default_rng(1)
    tokens = np.cumsum(generator.normal(0, 1, (16, 3000)), axis=0)
    transform = token_transform(tokens @ tokens.T) / TOKEN_UNIT
    np.testing.assert_allclose(transform @ transform.T, np.eye(16), atol=1e-3)
    energy = np.square(transform @ tokens).sum(axis=1)
    assert energy[0] > 0.8 * energy.sum()


def test_elements_that_matter_most_come_first(full_artefacts: Artefacts, samples_maker: SamplesMaker) -> None:
    order = full_artefacts.tables[2].mask_order
    activation = samples_maker(images=400, seed=11)[:, 1:].reshape(400, -1)
    variance = activation.var(axis=0)
    # The metric of the made-up model is random; the spread of the elements decides on the whole.
    assert variance[order[:20]].mean() > 2 * variance[order[-20:]].mean()


def test_equal_samples_give_equal_artefacts(full_artefacts: Artefacts, full_artefacts_maker: ArtefactsMaker) -> None:
    assert full_artefacts_maker().artefact_id == full_artefacts.artefact_id
