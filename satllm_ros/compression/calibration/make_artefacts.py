"""The codec artefacts of a model: its scales, tables and coefficients, and what each setting costs with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.calibration.calibrate import calibrate
from satllm_ros.compression.calibration.calibrate_tables import calibrate_tables
from satllm_ros.compression.calibration.cut_model import CutModel, image_batches, labelled_batches
from satllm_ros.compression.calibration.measure import measure, measure_single_cuts
from satllm_ros.compression.calibration.sensitivity import sensitivities
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tables.mask_file import with_masks
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.model.spec import read_spec

if TYPE_CHECKING:
    from satllm_ros.data.labelled.dataset import Dataset

BATCH_IMAGES = 32


def make_artefacts(
    checkpoint: Path,
    dataset: Dataset,
    for_tables: NDArray[np.int64],
    for_accuracy: NDArray[np.int64],
    settings: Sequence[CodecSetting],
    *,
    masks: Mapping[int, Any] | None = None,
    single_losses: bool = False,
    seed: int = 0,
) -> Artefacts:
    """Run images through a model, find what its codecs need for every cut, and measure the settings.

    Parameters
    ----------
    for_tables, for_accuracy
        Places in the data set of the images to calibrate with, and of others to measure on; at least one of each.
    masks
        Learned ones, as `load_masks` gives them; without, they are found from the images.
    single_losses
        Measure also what each setting loses at each cut alone, which takes several times as long.
    seed
        Of the directions in which the model's answer is looked at.

    Raises
    ------
    ArtefactError
        If an activation is not finite, or masks do not fit.
    """
    import torch

    spec = read_spec(checkpoint)
    model = CutModel.load(checkpoint)

    def inputs() -> Iterator[NDArray[np.float32]]:
        return (images for _, images in image_batches(dataset, spec, for_tables, BATCH_IMAGES))

    def activations() -> Iterator[dict[int, NDArray[np.float32]]]:
        return map(model.at_cuts, inputs())

    def labelled() -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        return labelled_batches(dataset, spec, for_accuracy, BATCH_IMAGES)

    scales = calibrate(activations(), spec.prefix_tokens)
    found = sensitivities(checkpoint, map(torch.from_numpy, inputs()), spec.prefix_tokens, seed=seed)
    tables, coefficients = calibrate_tables(activations, found, spec.prefix_tokens)
    if masks is not None:
        tables = with_masks(tables, masks)
    artefacts = Artefacts(
        spec.model_id, spec.prefix_tokens, spec.width, scales, tables=tables, coefficients=coefficients
    )
    in_cascade = {
        str(setting): measure(model, labelled(), dict.fromkeys(model.cuts, setting), artefacts)
        for setting in dict.fromkeys(settings)
    }
    by_cut = measure_single_cuts(model, labelled(), settings, artefacts, losses=single_losses)
    measurements = {name: replace(one, by_cut=by_cut[name]) for name, one in in_cascade.items()}
    return replace(artefacts, measurements=measurements)
