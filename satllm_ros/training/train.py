"""Training a model, from random weights or further from a checkpoint, resumable after every epoch."""

import csv
import time
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn

from satllm_ros.compression.tables.mask_file import save_masks
from satllm_ros.data.images.pixels import PixelRules
from satllm_ros.data.labelled.dataset import Dataset
from satllm_ros.data.labelled.datasets import load_dataset, split_names
from satllm_ros.model.checkpoints.checkpoint import save_checkpoint
from satllm_ros.model.checkpoints.header import file_id, pixels_metadata
from satllm_ros.model.structure import build_meta, measure_geometry
from satllm_ros.training.beginning import Start, begin_codec, begin_model, begin_optimizer, check_start, same_inputs
from satllm_ros.training.compressed.loop_codec import LearnedMasks, LoopCodec
from satllm_ros.training.epoch import held_out_accuracy, train_epoch
from satllm_ros.training.evaluation.accuracy import Accuracy, read_accuracies, write_accuracies
from satllm_ros.training.evaluation.evaluate import evaluate, training_device
from satllm_ros.training.ranks import Ranks
from satllm_ros.training.recipe import Recipe, TrainingError
from satllm_ros.training.split import TrainingSplit, split_training_images
from satllm_ros.training.state import TrainingState, load_state, save_state
from satllm_ros.training.watch import Watch

CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.csv"
TEST_ACCURACY = "test.csv"
STATE = "state.pt"
MASKS = "masks.safetensors"


def train(
    data: Path,
    out: Path,
    recipe: Recipe,
    *,
    start: Start | None = None,
    resume: bool = False,
    watch: Watch | None = None,
    ranks: Ranks = Ranks(),  # noqa: B008
) -> list[Accuracy]:
    """Train on the "train" split, choose the epoch on images held out of it, measure once on "test".

    Leaves in `out`: `checkpoint.safetensors` (fp16, the epoch best on the held-out images), `metrics.csv` (a
    row per epoch), `test.csv` (accuracy per class, uncompressed), `state.pt` (what `resume` continues from, bit for bit
    on the same machine) and, where masks are learned, `masks.safetensors`.

    Parameters
    ----------
    data
        Data set with the splits "train" and "test"; see `load_dataset`.
    start
        What `recipe.init` names, for a training that does not begin with random weights.
    resume
        Continue the training in `out`; its recipe and data must be the same.
    ranks
        The processes that train together, each of which calls this; they share `out`.

    Returns
    -------
    list[Accuracy]
        On the test split: each class, then all. A training that had ended returns what it measured then.

    Raises
    ------
    TrainingError, DatasetError, ModelError
        If recipe, data, model or output folder do not fit together; before any training.
    """
    watch = watch or Watch()
    splits = split_names(data)
    if missing := {"train", "test"}.difference(splits):
        raise TrainingError(
            f"data set {data} lacks the split {' and the split '.join(sorted(missing))}; "
            f"it has {', '.join(splits) or 'none'}"
        )
    _check_output(out, resume)
    if recipe.batch_size < ranks.world:
        raise TrainingError(
            f"batch_size {recipe.batch_size} is less than one image for each of {ranks.world} processes"
        )
    rules = PixelRules.from_json(recipe.pixels)
    dataset = load_dataset(data, "train").with_pixels(rules)
    arguments = {**recipe.arguments, "num_classes": len(dataset.classes)}
    _check_size(dataset, recipe.architecture, arguments)
    check_start(recipe, start, arguments, dataset.classes)
    split = same_inputs(split_training_images(dataset, recipe), start)
    model = begin_model(recipe, arguments, dataset.classes, start).to(training_device())
    codec = begin_codec(recipe, split, start)
    if codec is not None:
        codec.to(training_device())
    optimizer = begin_optimizer(recipe, model, codec)
    # Nobody looks for leftovers any more.
    ranks.wait()
    state = _begin(out / STATE, recipe, split, model, codec, optimizer, resume, ranks)
    watch.start(recipe.epochs, len(split.images), state.epoch)
    for epoch in range(state.epoch, recipe.epochs):
        row = _run_epoch(model, codec, optimizer, split, recipe, epoch, watch, ranks)
        if row is None:
            continue
        best = max((past["held_out_accuracy"] for past in state.history), default=-1.0)
        if row["held_out_accuracy"] > best:
            save_checkpoint(
                out / CHECKPOINT,
                model,
                recipe.architecture,
                arguments,
                split.mean,
                split.std,
                dataset.classes,
                pixels_metadata(rules),
            )
            if isinstance(codec, LearnedMasks):
                save_masks(out / MASKS, codec.orders(), file_id(out / CHECKPOINT))
        state.history.append(row)
        _write_metrics(out / METRICS, state.history)
        state.epoch, state.model, state.optimizer = epoch + 1, model.state_dict(), optimizer.state_dict()
        state.codec = codec.state_dict() if codec is not None else {}
        save_state(out / STATE, state)
    if ranks.is_first and not (out / TEST_ACCURACY).exists():
        write_accuracies(out / TEST_ACCURACY, evaluate(out / CHECKPOINT, load_dataset(data, "test").with_pixels(rules)))
    ranks.wait()
    return read_accuracies(out / TEST_ACCURACY)


def _check_output(out: Path, resume: bool) -> None:
    if resume and not (out / STATE).exists():
        raise TrainingError(f"{out} holds no {STATE}; there is nothing to resume")
    leftovers = [name for name in (STATE, CHECKPOINT, METRICS, TEST_ACCURACY, MASKS) if (out / name).exists()]
    if not resume and leftovers:
        raise TrainingError(
            f"{out} already holds {', '.join(leftovers)} of a training; continue it with --resume, "
            "or choose another folder"
        )
    out.mkdir(parents=True, exist_ok=True)


def _check_size(dataset: Dataset, architecture: str, arguments: dict[str, Any]) -> None:
    model: Any = build_meta(architecture, arguments)
    if len(model.blocks) == 0:
        raise TrainingError(f"{architecture} with {arguments} has no blocks; at least 1 is needed")
    geometry = measure_geometry(model)
    height, width, _ = dataset.image(0).shape
    if (height, width) != (geometry.image_height, geometry.image_width):
        raise TrainingError(
            f"the images are {width}x{height}, {architecture} with {arguments} takes "
            f"{geometry.image_width}x{geometry.image_height}; give --model-args img_size={height}, or "
            f"--resize {geometry.image_height}"
        )


def _begin(
    path: Path,
    recipe: Recipe,
    split: TrainingSplit,
    model: nn.Module,
    codec: LoopCodec | None,
    optimizer: torch.optim.Optimizer,
    resume: bool,
    ranks: Ranks,
) -> TrainingState:
    if resume:
        state = load_state(path, recipe, split.data_id)
        model.load_state_dict(state.model)
        if codec is not None:
            codec.load_state_dict(state.codec)
        optimizer.load_state_dict(state.optimizer)
        return state
    ranks.take_from_first(chain(model.state_dict().values(), codec.state_dict().values() if codec is not None else ()))
    held = codec.state_dict() if codec is not None else {}
    state = TrainingState(recipe, split.data_id, 0, model.state_dict(), optimizer.state_dict(), [], held)
    if ranks.is_first:
        save_state(path, state)
    return state


def _run_epoch(
    model: nn.Module,
    codec: LoopCodec | None,
    optimizer: torch.optim.Optimizer,
    split: TrainingSplit,
    recipe: Recipe,
    epoch: int,
    watch: Watch,
    ranks: Ranks,
) -> dict[str, Any] | None:
    """A row of metrics.csv, of the first process; the others do not measure."""
    started_s = time.perf_counter()
    loss = train_epoch(model, optimizer, split, recipe, epoch, watch.batch, codec, ranks)
    trained_s = time.perf_counter() - started_s
    if not ranks.is_first:
        return None
    uncompressed = held_out_accuracy(model, split, recipe.batch_size)
    accuracy = uncompressed if codec is None else held_out_accuracy(model, split, recipe.batch_size, codec)
    watch.epoch(epoch, loss, accuracy)
    return {
        "epoch": epoch + 1,
        "train_loss": loss,
        "held_out_accuracy": accuracy,
        "held_out_accuracy_uncompressed": uncompressed,
        "learning_rate": optimizer.param_groups[0]["lr"],
        "images_per_s": len(split.images) / trained_s,
    }


def _write_metrics(path: Path, history: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)
