"""What the flights carry: a tiny model of eight blocks, bags of any length, and the predictions they must end in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from tiny_material import PATCH, SIDE, Material, encoded, picture, save_bag, save_material

from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.tables.artefacts import load_artefacts
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.data.tiles import decode_jpeg
from satllm_ros.model.reference import UnsplitModel
from satllm_ros.model.spec import ModelSpec, read_spec

BLOCKS = 8
_CHUNK = 64


@dataclass(frozen=True)
class Cargo:
    """What to fly, and the class that the unsplit model gives to each frame, by (source, frame).

    Source "" stands for the source of the run.
    """

    material: Material
    labels: dict[tuple[str, int], int]


class Workshop:
    """Makes model and codec artefacts once, and a bag for each number of tiles that is asked for."""

    def __init__(self, folder: Path, side: int = SIDE, patch: int = PATCH) -> None:
        self._folder, self._side, self._patch = folder, side, patch
        self._labels: list[int] = []
        self._bags: dict[int, Material] = {}

    @cached_property
    def _made(self) -> Material:
        self._folder.mkdir(parents=True, exist_ok=True)
        return save_material(self._folder, tiles=1, blocks=BLOCKS, side=self._side, patch=self._patch)

    @cached_property
    def spec(self) -> ModelSpec:
        """The model."""
        return read_spec(self._made.checkpoint)

    def cargo(self, tiles: int) -> Cargo:
        """A bag of so many pictures, one tile each."""
        if tiles not in self._bags:
            images = map(self._image, range(tiles))
            bag = save_bag(self._folder / f"bag_{tiles}", list(images))
            self._bags[tiles] = replace(self._made, bag=bag, bag_tiles=tiles)
        return Cargo(self._bags[tiles], {("", n): label for n, label in enumerate(self._classes(tiles), start=1)})

    def folder(self, path: Path, tiles: int) -> Cargo:
        """A folder of the same pictures, in this order."""
        path.mkdir(parents=True)
        for number in range(tiles):
            (path / f"{number:05}.jpg").write_bytes(self._image(number))
        return self.cargo(tiles)

    def coded(self, cargo: Cargo, batch_tiles: int, settings: Mapping[int, CodecSetting]) -> Cargo:
        """The same pictures with the classes of a chain that compresses at these cuts, in batches as flown."""
        # Only here, as with the unsplit model.
        import torch

        from satllm_ros.model.stage import load_stage, normalize

        # As a satellite computes: more threads add up in another order.
        torch.set_num_threads(1)
        artefacts = load_artefacts(self._made.artefacts, model_id=self.spec.model_id)
        cuts = sorted(settings)
        stages = [load_stage(self._made.checkpoint, *ends) for ends in pairwise([0, *cuts, self.spec.blocks])]
        labels: list[int] = []
        for first in range(0, len(cargo.labels), batch_tiles):
            numbers = range(first, min(len(cargo.labels), first + batch_tiles))
            images = [decode_jpeg(np.frombuffer(self._image(n), np.uint8)) for n in numbers]
            values = stages[0](normalize(np.stack(images), self.spec)).numpy()
            for cut, stage in zip(cuts, stages[1:], strict=True):
                frame = encode(values, settings[cut], artefacts, cut)
                values = stage(torch.from_numpy(decode(frame, artefacts, max_elements=values.size).activation)).numpy()
            labels += values.argmax(axis=1).tolist()
        return replace(cargo, labels={("", n): label for n, label in enumerate(labels, start=1)})

    @cached_property
    def classify(self) -> UnsplitModel:
        """The unsplit, uncompressed model."""
        return UnsplitModel(self._made.checkpoint, self.spec)

    def _image(self, number: int) -> bytes:
        return encoded(picture(number, self._side, self._side))

    def _classes(self, tiles: int) -> list[int]:
        for first in range(len(self._labels), tiles, _CHUNK):
            numbers = range(first, min(tiles, first + _CHUNK))
            images = [decode_jpeg(np.frombuffer(self._image(n), np.uint8)) for n in numbers]
            self._labels += self.classify(np.stack(images))
        return self._labels[:tiles]
