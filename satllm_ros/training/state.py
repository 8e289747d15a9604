"""The state a training continues from."""

import os
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from satllm_ros.training.recipe import Recipe, TrainingError


@dataclass
class TrainingState:
    """Where a training stands after `epoch` whole epochs.

    Randomness is no part of it: every epoch draws from generators seeded by (seed, epoch).
    """

    recipe: Recipe
    data_id: str
    epoch: int
    model: dict[str, Any]
    optimizer: dict[str, Any]
    history: list[dict[str, float]]
    codec: dict[str, Any] = field(default_factory=dict)


def save_state(path: Path, state: TrainingState) -> None:
    """Write the state so that the file is at any moment either the old or the new one, whole."""
    partial = path.with_suffix(".partial")
    torch.save({**vars(state), "recipe": asdict(state.recipe)}, partial)
    os.replace(partial, path)


def load_state(path: Path, recipe: Recipe, data_id: str) -> TrainingState:
    """Read the state of a training with the same recipe and data.

    Raises
    ------
    TrainingError
        If the file is no training state, or was written under another recipe or with other data; the message
        names the first difference.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        state = TrainingState(**{**stored, "recipe": Recipe(**stored["recipe"])})
    except (RuntimeError, TypeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{path} is no training state of this version: {error}") from error
    for name, value in asdict(recipe).items():
        if (before := asdict(state.recipe)[name]) != value:
            raise TrainingError(f"{path} was written with {name} {before}, not {value}; resume with the same")
    if state.data_id != data_id:
        raise TrainingError(f"{path} was written with other training images; resume with the same data")
    return state
