"""What a training begins with: a model, a codec in the loop, and what of them is trained."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from timm.optim import param_groups_weight_decay
from torch import Tensor, nn

from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.model.checkpoints.checkpoint import load_model
from satllm_ros.model.spec import ModelSpec
from satllm_ros.model.structure import build
from satllm_ros.training.compressed.gumbel import Noise
from satllm_ros.training.compressed.loop_codec import FrameCodec, LearnedMasks, LoopCodec
from satllm_ros.training.compressed.stream import observe_stream
from satllm_ros.training.epoch import standardise
from satllm_ros.training.recipe import Recipe, TrainingError
from satllm_ros.training.split import TrainingSplit
from satllm_ros.training.transfer import transfer

MASK = "mask"
# Logits move by units, weights by thousandths.
_LOGIT_GAIN = 60.0
_OBSERVED_IMAGES = 1000
_OBSERVED_BATCH = 100


@dataclass(frozen=True, eq=False)
class Start:
    """Where a training comes from: a checkpoint, what it says of itself, and artefacts of it.

    Attributes
    ----------
    spec
        None for a file of timm's, which says nothing of itself.
    """

    checkpoint: Path
    spec: ModelSpec | None
    artefacts: Artefacts | None = None

    def is_of(self, arguments: dict[str, Any], classes: tuple[str, ...]) -> bool:
        """Whether the checkpoint is of the very model to be trained, with its classes; else it is adapted."""
        return self.spec is not None and self.spec.arguments == arguments and self.spec.classes == classes


def check_start(recipe: Recipe, start: Start | None, arguments: dict[str, Any], classes: tuple[str, ...]) -> None:
    """Refuse a recipe that the checkpoint or the artefacts do not serve.

    Raises
    ------
    TrainingError, CodecSettingError, ArtefactError
        Naming what is missing.
    """
    if recipe.compress is None:
        return
    setting = None if recipe.compress == MASK else CodecSetting.parse(recipe.compress)
    if start is None:
        raise TrainingError(f"compress {recipe.compress} needs a checkpoint to start from; give one with --init")
    if not start.is_of(arguments, classes):
        raise TrainingError(
            f"compress {recipe.compress} needs a checkpoint of these classes and arguments, which {start.checkpoint} "
            "is not; train without --compress first, then further from what that wrote"
        )
    if setting is not None:
        if start.artefacts is None:
            raise TrainingError(f"compress {recipe.compress} needs codec artefacts; give them with --artefacts")
        start.artefacts.check_can_code(setting)


def same_inputs(split: TrainingSplit, start: Start | None) -> TrainingSplit:
    """The split with the normalization that the checkpoint was trained with, if it says so."""
    return split if start is None or start.spec is None else replace(split, mean=start.spec.mean, std=start.spec.std)


def begin_model(recipe: Recipe, arguments: dict[str, Any], classes: tuple[str, ...], start: Start | None) -> nn.Module:
    """Random weights from the recipe's seed, or those of the checkpoint; only what is trained has gradients.

    A checkpoint of other classes gives all but its head, one of other sizes is resampled.
    """
    torch.manual_seed(recipe.seed)
    # In float32 whatever the checkpoint is stored in.
    model = build(recipe.architecture, arguments)
    if start is not None and start.is_of(arguments, classes):
        model.load_state_dict(load_model(start.checkpoint).state_dict())
    elif start is not None:
        transfer(start.checkpoint, model, with_head=start.spec is not None and start.spec.classes == classes)
    if recipe.trained == "head":
        model.requires_grad_(False)
        for name, module in model.named_modules():
            if name == "head" or isinstance(module, nn.LayerNorm):
                module.requires_grad_(True)
    return model


def begin_codec(recipe: Recipe, split: TrainingSplit, start: Start | None) -> LoopCodec | None:
    """The codec in the loop; masks begin with the order that calibration gives."""
    if recipe.compress is None or start is None or start.spec is None:
        return None
    if recipe.compress != MASK:
        assert start.artefacts is not None
        return FrameCodec(CodecSetting.parse(recipe.compress), start.artefacts)

    def batches() -> Iterator[Tensor]:
        for images in split.images[_observed(split, recipe)].split(_OBSERVED_BATCH):
            yield standardise(images.float() / 255, split)

    streams = observe_stream(start.checkpoint, batches, seed=recipe.seed)
    return LearnedMasks(streams, start.spec.prefix_tokens, Noise(recipe.noise))


def begin_optimizer(recipe: Recipe, model: Any, codec: LoopCodec | None) -> torch.optim.Optimizer:
    """AdamW; logits have a rate of their own and no decay."""
    groups = param_groups_weight_decay(model, recipe.weight_decay, no_weight_decay_list=model.no_weight_decay())
    if codec is not None and (learned := list(codec.parameters())):
        groups.append({"params": learned, "weight_decay": 0.0, "gain": _LOGIT_GAIN})
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def _observed(split: TrainingSplit, recipe: Recipe) -> Tensor:
    generator = torch.Generator().manual_seed(recipe.seed)
    return torch.randperm(len(split.images), generator=generator)[:_OBSERVED_IMAGES]
