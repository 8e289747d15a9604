"""Codecs as parts of a model in training: what arrives at the other end of a cut, with a gradient."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from satllm_ros.compression.codec import decode, encode
from satllm_ros.compression.coding.signed_magnitude import largest_magnitude
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.training.compressed.gumbel import (
    Noise,
    masked,
    sample_noise,
    soft_mask,
    sparsity_loss,
    straight_through,
)
from satllm_ros.training.compressed.stream import CutStream

# Spread of the logits at first: wide against the noise, so that calibration's order is a start worth having.
_LOGIT_SPREAD = 4.0
_SPARSITY_WEIGHT = 0.1
_MEAN_MEMORY = 0.98
_RANGE_MEMORY = 0.999
_BITS = 6


@dataclass
class Annealing:
    """Where a training stands: the temperature of Eq. 5, and whether masks are still drawn."""

    temperature: float
    drawn: bool


class LoopCodec(nn.Module, ABC):
    """What every codec in the loop does."""

    def observe(self, cut: int, activation: Tensor) -> None:
        """Take note of an activation (N, S, D) that reaches a cut, whether or not it is coded there."""

    @abstractmethod
    def forward(
        self, activation: Tensor, cut: int, keep: Tensor, annealing: Annealing, generator: np.random.Generator
    ) -> Tensor:
        """What arrives of an activation (N, S, D); `keep` (N,) is each image's keep ratio."""

    def penalty(self) -> Tensor | float:
        """What is added to the loss of the task."""
        return 0.0


class LearnedMasks(LoopCodec):
    """A mask for every cut, its logits learned; masks of all keep ratios are nested.

    The mask of a keep ratio is Eq. 1 and 2 with the logits less their quantile: in the mean over the noise somewhat
    more than that share is kept, and without noise exactly the elements of the highest logits. What is dropped becomes
    the running mean; what is kept is quantized as codec `mask` does, in 6 bits, with a straight-through gradient.

    Parameters
    ----------
    streams
        By cut, all cuts from 1.
    """

    mean: Tensor
    largest: Tensor

    def __init__(self, streams: Mapping[int, CutStream], prefix_tokens: int, noise: Noise = Noise.LOGISTIC) -> None:
        super().__init__()
        self._prefix_tokens = prefix_tokens
        self._noise = noise
        logs = np.log(np.stack([stream.weights(prefix_tokens) for stream in streams.values()]) + 1e-30)
        flat = logs.reshape(len(logs), -1)
        standard = (flat - flat.mean(axis=1, keepdims=True)) / (flat.std(axis=1, keepdims=True) + 1e-9)
        logits = _LOGIT_SPREAD * standard.reshape(logs.shape)
        self.logits = nn.Parameter(torch.from_numpy(logits).float())
        mean = np.stack([stream.mean for stream in streams.values()])
        largest = np.stack([stream.largest.max(axis=0) for stream in streams.values()])
        self.register_buffer("mean", torch.from_numpy(mean).float())
        self.register_buffer("largest", torch.from_numpy(largest).float())

    @torch.no_grad()
    def observe(self, cut: int, activation: Tensor) -> None:
        patches = activation[:, self._prefix_tokens :].float()
        mean, largest = self.mean[cut - 1], self.largest[cut - 1]
        mean.lerp_(patches.mean(dim=0), 1 - _MEAN_MEMORY)
        torch.maximum(largest * _RANGE_MEMORY, (patches - mean).abs().amax(dim=(0, 1)), out=largest)

    def forward(
        self, activation: Tensor, cut: int, keep: Tensor, annealing: Annealing, generator: np.random.Generator
    ) -> Tensor:
        prefix, patches = activation[:, : self._prefix_tokens], activation[:, self._prefix_tokens :]
        logits = self.logits[cut - 1]
        noise = torch.zeros_like(logits)
        if annealing.drawn:
            uniform = torch.from_numpy(generator.random(logits.shape, dtype=np.float32)).to(logits.device)
            noise = sample_noise(uniform, self._noise)
        above = logits[None] - self._thresholds(logits.detach(), keep)[:, None, None]
        mask = straight_through(soft_mask(above, noise, annealing.temperature))
        arrived = masked(self._quantized(patches, cut), mask, self.mean[cut - 1].clone())
        return torch.cat([prefix, arrived], dim=1)

    def penalty(self) -> Tensor:
        return sparsity_loss(self.logits, _SPARSITY_WEIGHT)

    def orders(self) -> dict[int, NDArray[np.uint32]]:
        """By cut, all elements of the patch tokens, uint32 (T * D,), the highest logit first."""
        logits = self.logits.detach().cpu().numpy().reshape(len(self.logits), -1)
        return {cut: np.argsort(-row, kind="stable").astype(np.uint32) for cut, row in enumerate(logits, start=1)}

    def _quantized(self, patches: Tensor, cut: int) -> Tensor:
        limit = largest_magnitude(_BITS)
        mean, step = self.mean[cut - 1].clone(), (self.largest[cut - 1] / limit).clamp_min(1e-12)
        steps = ((patches - mean) / step).clamp(-limit, limit)
        return mean + step * (steps + (torch.round(steps) - steps).detach())

    @staticmethod
    def _thresholds(logits: Tensor, keep: Tensor) -> Tensor:
        """The largest logit of each image that is not kept, (N,)."""
        ascending = logits.reshape(-1).sort().values
        kept = torch.floor(keep.double() * len(ascending) + 0.5).long()
        below = len(ascending) - kept - 1
        return torch.where(below >= 0, ascending[below.clamp(min=0)], ascending[0] - 1)


class FrameCodec(LoopCodec):
    """Any codec, by its own encoder and decoder, with the gradient passed straight through.

    Keep ratios are those of the setting.
    """

    def __init__(self, setting: CodecSetting, artefacts: Artefacts) -> None:
        super().__init__()
        artefacts.check_can_code(setting)
        self._setting = setting
        self._artefacts = artefacts

    def forward(
        self, activation: Tensor, cut: int, keep: Tensor, annealing: Annealing, generator: np.random.Generator
    ) -> Tensor:
        values = np.ascontiguousarray(activation.detach().float().cpu().numpy())
        frame = encode(values, self._setting, self._artefacts, cut)
        arrived = torch.from_numpy(decode(frame, self._artefacts, max_elements=values.size).activation)
        return activation + (arrived.to(activation.device) - activation.detach())
