"""A model cut after every block, with every activation really coded where a setting says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import thread_time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.setting import CodecSetting

if TYPE_CHECKING:
    from satllm_ros.data.labelled.dataset import Dataset
    from satllm_ros.model.spec import ModelSpec
    from satllm_ros.model.stage import SubModel

Step = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass
class Hop:
    """What crosses a cut.

    Attributes
    ----------
    wire_bytes, fp32_bytes
        Of all images: whole frames, and the same activations as float32 [bytes].
    encode_s, decode_s
        The codec's time on the processor.
    """

    cut: int
    wire_bytes: int = 0
    fp32_bytes: int = 0
    # Of equal hops, each took its own time.
    encode_s: float = field(default=0.0, compare=False)
    decode_s: float = field(default=0.0, compare=False)

    @property
    def ratio(self) -> float:
        """How many times smaller than float32."""
        return self.fp32_bytes / self.wire_bytes

    def send(self, values: NDArray[Any], setting: CodecSetting, artefacts: Artefacts) -> NDArray[np.float32]:
        """What arrives of an activation."""
        start_s = thread_time()
        frame = encode(values, setting, artefacts, self.cut)
        encoded_s = thread_time()
        arrived = decode(frame, artefacts, max_elements=values.size).activation
        self.encode_s += encoded_s - start_s
        self.decode_s += thread_time() - encoded_s
        self.wire_bytes += len(frame)
        self.fp32_bytes += values.nbytes
        return arrived


class CutModel:
    """A model as one function a block.

    Parameters
    ----------
    steps
        L functions; the first takes images, those between map activations, float32 (N, S, D) to (N, S, D), the last
        returns logits (N, E).
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps

    @classmethod
    def load(cls, checkpoint: Path) -> CutModel:
        """The model of a checkpoint; images are float32 (N, 3, H, W), normalized."""
        from satllm_ros.model.spec import read_spec
        from satllm_ros.model.stage import load_blocks

        return cls([_step(stage) for stage in load_blocks(checkpoint, read_spec(checkpoint).blocks)])

    @property
    def blocks(self) -> int:
        return len(self._steps)

    @property
    def cuts(self) -> range:
        """1 .. L-1."""
        return range(1, len(self._steps))

    def run(self, values: NDArray[Any], start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Blocks (start, stop], or all that follow, on images or an activation."""
        for step in self._steps[start:stop]:
            values = step(values)
        return values

    def at_cuts(self, images: NDArray[Any]) -> dict[int, NDArray[Any]]:
        """Activations at every cut, by cut."""
        found, values = {}, images
        for cut in self.cuts:
            values = found[cut] = self.run(values, cut - 1, cut)
        return found

    def run_coded(
        self,
        values: NDArray[Any],
        settings: Mapping[int, CodecSetting],
        artefacts: Artefacts,
        hops: Mapping[int, Hop],
        start: int = 0,
    ) -> NDArray[Any]:
        """Blocks from `start` on, each activation coded on its way where its cut has a setting, and a hop that counts.

        Parameters
        ----------
        values
            Images, or the activation at `start`, which is not coded yet.
        settings, hops
            By cut; those before `start` are passed over.
        """
        done = start
        for cut in sorted(cut for cut in settings if cut >= start):
            values = hops[cut].send(self.run(values, done, cut), settings[cut], artefacts)
            done = cut
        return self.run(values, done)


def image_batches(
    dataset: Dataset, spec: ModelSpec, chosen: NDArray[np.int64], batch_images: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Indices and model input of the chosen images, batch by batch."""
    from satllm_ros.model.stage import normalize

    for first in range(0, len(chosen), batch_images):
        batch = chosen[first : first + batch_images]
        yield batch, normalize(dataset.stack(batch), spec).numpy()


def labelled_batches(
    dataset: Dataset, spec: ModelSpec, chosen: NDArray[np.int64], batch_images: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Model input and true classes of the chosen images, batch by batch."""
    for batch, inputs in image_batches(dataset, spec, chosen, batch_images):
        yield inputs, dataset.labels[batch]


def _step(stage: SubModel) -> Step:
    import torch

    def step(values: NDArray[Any]) -> NDArray[Any]:
        output: NDArray[np.float32] = stage(torch.from_numpy(values)).numpy()
        return output

    return step
