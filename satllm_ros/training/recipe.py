"""What is trained and how."""

import math
from dataclasses import dataclass, field
from typing import Any

from satllm_ros.data.labelled.datasets import HELD_OUT_IMAGES


class TrainingError(ValueError):
    """A recipe, data set or output folder that cannot be trained with."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the trained weights, besides the data.

    Attributes
    ----------
    architecture, arguments
        timm model name and the keyword arguments it is built with; the number of classes comes from the data.
    learning_rate
        Peak of the schedule.
    limit
        Train on a stratified choice of that many images, besides those held out; None for all.
    init
        Model id of the checkpoint that training starts from; None for random weights.
    compress
        What is coded at cuts drawn at random: "mask" for masks to be learned, a codec setting such as "klt:16", or
        None. `artefacts` is the id of those that a setting needs.
    trained
        "all" weights, or those of the "head" and the layer norms alone.
    noise
        Of the masks' logits; see `Noise`.
    pixels
        What is stated about the images, as `PixelRules.to_json` gives it; the checkpoint says it on.
    """

    architecture: str = "vit_tiny_patch16_224"
    arguments: dict[str, Any] = field(default_factory=lambda: {"img_size": 64, "patch_size": 8})
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    seed: int = 0
    limit: int | None = None
    init: str | None = None
    compress: str | None = None
    artefacts: str | None = None
    trained: str = "all"
    noise: str = "logistic"
    pixels: dict[str, Any] = field(default_factory=dict)
    weight_decay: float = 0.05
    warm_up_share: float = 0.1
    label_smoothing: float = 0.1
    mixup_alpha: float = 0.2
    held_out_images: int = HELD_OUT_IMAGES

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "held_out_images"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} {getattr(self, name)} is not allowed; at least 1 is needed")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise TrainingError(f"learning_rate {self.learning_rate} is not allowed; it must be finite and above 0")
        for name, allowed in (("trained", ("all", "head")), ("noise", ("logistic", "single"))):
            if getattr(self, name) not in allowed:
                raise TrainingError(f"{name} {getattr(self, name)!r} is not allowed; it must be {' or '.join(allowed)}")
        if not 0 <= self.seed < 1 << 63:
            raise TrainingError(f"seed {self.seed} is not allowed; 0 to 2^63 - 1 are")
        if self.trained == "head" and self.init is None:
            raise TrainingError("trained head needs a checkpoint to start from; give one with --init")


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of optimizer step 0..steps-1: linear warm-up to the peak, then half a cosine to zero.

    With w = ceil(warm_up_share * steps): peak * (step + 1) / w below w, else
    peak * (1 + cos(pi * (step - w) / (steps - w))) / 2.
    """
    warm_up = math.ceil(recipe.warm_up_share * steps)
    if step < warm_up:
        return recipe.learning_rate * (step + 1) / warm_up
    return recipe.learning_rate * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2
