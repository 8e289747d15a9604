"""A model cut into stages with every activation really coded between them: its answers, and the bytes of each hop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.calibration.cut_model import CutModel, Hop, image_batches
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.data.labelled.dataset import Dataset
from satllm_ros.model.spec import ModelSpec, read_spec
from satllm_ros.training.evaluation.paired import PairedAccuracy, compare
from satllm_ros.training.recipe import TrainingError


@dataclass
class CodedResult:
    """Answers and bytes of a setting with a set of cuts."""

    paired: PairedAccuracy
    hops: list[Hop] = field(default_factory=list)

    @property
    def bytes_per_hop(self) -> float:
        """Mean over hops and images [bytes]."""
        return sum(hop.wire_bytes for hop in self.hops) / len(self.hops) / self.paired.n


class CodedModel:
    """All blocks of a model, and the artefacts to code what passes between them."""

    def __init__(self, checkpoint: Path, artefacts: Artefacts) -> None:
        self.spec: ModelSpec = read_spec(checkpoint)
        self.artefacts = artefacts
        self._model = CutModel.load(checkpoint)

    def run(self, values: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
        """Blocks (start, stop] on images (N, 3, H, W) or an activation (N, S, D)."""
        return self._model.run(values, start, stop)

    def run_coded(
        self, values: NDArray[np.float32], settings: Mapping[int, CodecSetting], hops: Mapping[int, Hop], start: int
    ) -> NDArray[np.float32]:
        """Blocks from `start` on, with the cuts that have a setting coded."""
        return self._model.run_coded(values, settings, self.artefacts, hops, start)

    def check_cuts(self, cuts: Sequence[int]) -> None:
        """Refuse cuts that do not ascend within the model."""
        if list(cuts) != sorted(set(cuts)) or (cuts and not 1 <= cuts[0] <= cuts[-1] < self.spec.blocks):
            raise TrainingError(
                f"cuts {' '.join(map(str, cuts))} are not allowed; they must ascend within 1 to {self.spec.blocks - 1}"
            )


def evaluate_coded(
    model: CodedModel,
    dataset: Dataset,
    chosen: NDArray[np.int64],
    settings: Sequence[CodecSetting],
    cuts: Sequence[int],
    batch_images: int,
    on_images: Callable[[int], None] = lambda images: None,
) -> list[CodedResult]:
    """Run the chosen images compressed by each setting, and uncompressed, which all of them are paired with.

    Raises
    ------
    TrainingError, DatasetError
        If cuts or classes do not fit the model.
    """
    model.check_cuts(cuts)
    dataset.check_classes(model.spec.classes, "the model")
    hops = [{cut: Hop(cut) for cut in cuts} for _ in settings]
    answers: list[list[NDArray[np.int64]]] = [[] for _ in settings]
    references = []
    for batch, inputs in image_batches(dataset, model.spec, chosen, batch_images):
        # Until the first cut all ways are one.
        first = cuts[0] if cuts else model.spec.blocks
        shared = model.run(inputs, 0, first)
        references.append(model.run(shared, first, model.spec.blocks).argmax(axis=1))
        for setting, its_hops, its_answers in zip(settings, hops, answers, strict=True):
            answered = model.run_coded(shared, dict.fromkeys(cuts, setting), its_hops, first)
            its_answers.append(answered.argmax(axis=1))
        on_images(len(batch))
    labels, reference = dataset.labels[chosen], np.concatenate(references)
    return [
        CodedResult(compare(labels, np.concatenate(its_answers), reference), list(its_hops.values()))
        for its_answers, its_hops in zip(answers, hops, strict=True)
    ]
