"""The first steps of a batch on board, each on a thread of its own: it is decoded, and its blocks are run."""

from __future__ import annotations

import threading
import time

import numpy as np

from satllm_ros import msg as m
from satllm_ros.compression.codec import decode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.data.tiles import decode_tiles
from satllm_ros.model.spec import ModelSpec
from satllm_ros.nodes.base.counters import Counters
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire.external import ExternalStage
from satllm_ros.protocol.vocabulary import Cause
from satllm_ros.satellite.external_blocks import ExternalBlocks
from satllm_ros.satellite.pipeline import Job
from satllm_ros.satellite.satellite_state import SatelliteState
from satllm_ros.satellite.submodels import NotLoadedError, SubModels


class Inference:
    """Makes a job's content an activation, then the activation, or logits, after this satellite's blocks.

    Parameters
    ----------
    external
        Runs the blocks of a stage written by someone else; None: the sub-models on board do.
    """

    def __init__(
        self,
        counters: Counters,
        satellite_state: SatelliteState,
        spec: ModelSpec,
        artefacts: Artefacts,
        external: ExternalStage | None,
    ) -> None:
        self._counters, self._satellite_state, self._spec = counters, satellite_state, spec
        self._artefacts, self._external = artefacts, external

    def decode(self, job: Job) -> None:
        """From the message that came."""
        start_s = time.monotonic()
        if job.cut == 0:
            self._decode_images(job)
        else:
            self._decode_activation(job)
        job.times.decode_s = time.monotonic() - start_s

    def _decode_images(self, job: Job) -> None:
        message = job.content
        convert.check_image_batch(message, job.envelope)
        convert.check_seal(job.envelope, 0, message.data, message.crc32)
        images = decode_tiles(
            memoryview(message.data),
            message.tile_bytes,
            self._spec.image_height,
            self._spec.image_width,
            jpeg=message.encoding == m.ImageBatch.ENCODING_JPEG,
        )
        job.content = self._blocks.prepare_images(images)

    def _decode_activation(self, job: Job) -> None:
        message = job.content
        convert.check_seal(job.envelope, job.cut, message.payload, message.crc32)
        expected = (job.envelope.tiles, self._spec.tokens, self._spec.width)
        decoded = decode(memoryview(message.payload), self._artefacts, max_elements=int(np.prod(expected)))
        if decoded.activation.shape != expected or decoded.cut != job.cut:
            raise convert.WireError(
                Cause.MALFORMED,
                f"activation {decoded.activation.shape} at cut {decoded.cut}, expected {expected} at cut {job.cut}",
            )
        if decoded.replaced:
            self._counters.add("not_finite", decoded.replaced)
        job.content = decoded.activation

    def compute(self, job: Job, abandon: threading.Event) -> None:
        """Run the blocks of the job's stage; gives up when `abandon` is set."""
        stage, blocks = job.context.stage, self._blocks
        job.times.compute_start_s = time.monotonic()
        if self._external is not None:
            if not isinstance(blocks, ExternalBlocks):
                raise NotLoadedError("the stage is another one than when the batch came")
            tiles = job.envelope.tiles
            last = stage.stop == self._spec.blocks
            shape = (tiles, len(self._spec.classes)) if last else (tiles, self._spec.tokens, self._spec.width)
            job.content, job.times.compute_real_s = self._external.run(blocks, job, stage.stop, shape, abandon)
        else:
            if not isinstance(blocks, SubModels):
                raise NotLoadedError("the stage is another one than when the batch came")
            job.content, job.times.compute_real_s = blocks.run(stage.start, stage.stop, job.content, abandon)
        job.times.compute_stop_s = time.monotonic()

    @property
    def _blocks(self) -> SubModels | ExternalBlocks:
        submodels = self._satellite_state.submodels
        if submodels is None:
            raise NotLoadedError("the stage was cleaned up while the batch waited")
        return submodels
