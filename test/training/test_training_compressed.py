"""Training with masks or a codec in the loop: determinism, resumption, and what it leaves behind."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from interruption import StopAfter
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from satllm_ros.compression.tables.mask_file import load_masks
from satllm_ros.data.labelled.datasets import load_dataset
from satllm_ros.model.spec import read_spec
from satllm_ros.training import train as train_module
from satllm_ros.training.beginning import Start
from satllm_ros.training.epoch import annealing_of
from satllm_ros.training.recipe import Recipe, TrainingError
from satllm_ros.training.split import split_training_images
from satllm_ros.training.train import CHECKPOINT, MASKS, STATE, train
from satllm_ros.training.watch import Watch

ARGUMENTS = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2}


class Copies(Watch):
    """Keeps the checkpoint that stood when the next epoch ended."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.files: list[bytes] = []

    def epoch(self, epoch: int, loss: float, accuracy: float) -> None:
        if epoch > 0:
            self.files.append((self._out / CHECKPOINT).read_bytes())


@pytest.fixture(scope="module")
def start(colored_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Start:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("start") / "out"
    train(colored_data, out, Recipe(arguments=ARGUMENTS, epochs=6, batch_size=16, learning_rate=1e-2))
    return Start(out / CHECKPOINT, read_spec(out / CHECKPOINT))


@pytest.fixture
def recipe(start: Start) -> Recipe:
    return Recipe(
        arguments=start.spec.arguments,
        epochs=3,
        batch_size=16,
        learning_rate=1e-3,
        init=start.spec.model_id,
        compress="mask",
    )


@pytest.mark.parametrize("stopped_after", [0, 2])
def test_learning_masks_resumes_to_the_same_bits(
    stopped_after: int, start: Start, recipe: Recipe, colored_data: Path, tmp_path: Path
) -> None:
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    train(colored_data, straight, recipe, start=start)
    with pytest.raises(KeyboardInterrupt):
        train(colored_data, stopped, recipe, start=start, watch=StopAfter(stopped_after))
    train(colored_data, stopped, recipe, start=start, resume=True)
    for name in (CHECKPOINT, MASKS):
        assert (straight / name).read_bytes() == (stopped / name).read_bytes(), name
    states = [torch.load(out / STATE, weights_only=True) for out in (straight, stopped)]
    assert torch.equal(states[0]["codec"]["logits"], states[1]["codec"]["logits"])
    orders = load_masks(straight / MASKS, model_id=read_spec(straight / CHECKPOINT).model_id)
    assert sorted(orders) == [1, 2] and all(len(order) == 4 * 16 for order in orders.values())


def test_another_seed_learns_other_masks(start: Start, recipe: Recipe, colored_data: Path, tmp_path: Path) -> None:
    logits = []
    for seed in (0, 1):
        train(colored_data, tmp_path / str(seed), replace(recipe, seed=seed, epochs=1), start=start)
        logits.append(torch.load(tmp_path / str(seed) / STATE, weights_only=True)["codec"]["logits"])
    assert not torch.equal(*logits)


def test_the_head_and_the_norms_alone_are_trained(
    start: Start, recipe: Recipe, colored_data: Path, tmp_path: Path
) -> None:
    from satllm_ros.model.checkpoints.checkpoint import load_model

    train(colored_data, tmp_path, replace(recipe, trained="head", epochs=1, compress=None), start=start)
    before = load_model(start.checkpoint).state_dict()
    changed = {
        n for n, w in torch.load(tmp_path / STATE, weights_only=True)["model"].items() if not torch.equal(w, before[n])
    }
    assert {"head.weight", "blocks.0.norm1.weight", "blocks.2.norm2.bias", "norm.weight"} <= changed
    assert all(name.startswith("head.") or "norm" in name for name in changed)


def test_the_epoch_is_chosen_by_what_arrives_coded(
    start: Start, recipe: Recipe, colored_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coded, uncompressed = iter([0.5, 0.75, 0.25]), iter([0.25, 0.5, 0.75])
    monkeypatch.setattr(train_module, "held_out_accuracy", lambda *given: next(coded if given[3:] else uncompressed))
    train(colored_data, tmp_path / "three", recipe, start=start, watch=(watch := Copies(tmp_path / "three")))
    assert (tmp_path / "three" / CHECKPOINT).read_bytes() == watch.files[1] != watch.files[0]


def test_a_checkpoint_of_bfloat16_is_trained_further_in_float32(
    start: Start, recipe: Recipe, colored_data: Path, tmp_path: Path
) -> None:
    with safe_open(start.checkpoint, "pt") as file:
        metadata = file.metadata()
    stored = {name: tensor.bfloat16() for name, tensor in load_file(start.checkpoint).items()}
    save_file(stored, tmp_path / "half.safetensors", metadata)
    half = Start(tmp_path / "half.safetensors", read_spec(tmp_path / "half.safetensors"))
    train(colored_data, tmp_path / "out", replace(recipe, epochs=1, init=half.spec.model_id), start=half)
    trained = torch.load(tmp_path / "out" / STATE, weights_only=True)["model"]
    assert {weight.dtype for weight in trained.values()} == {torch.float32}


def test_temperature_falls_and_masks_are_no_longer_drawn_at_the_end(recipe: Recipe) -> None:
    found = [annealing_of(replace(recipe, epochs=6), epoch) for epoch in range(6)]
    assert [a.drawn for a in found] == [True, True, True, True, False, False]
    assert [round(a.temperature, 3) for a in found] == [2.0, 1.667, 1.333, 1.0, 0.667, 0.5]


def test_what_does_not_fit_is_refused(start: Start, recipe: Recipe, colored_data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="compress mask needs a checkpoint"):
        train(colored_data, tmp_path, recipe)
    with pytest.raises(TrainingError, match="compress klt:16 needs codec artefacts"):
        train(colored_data, tmp_path, replace(recipe, compress="klt:16"), start=start)
    with pytest.raises(TrainingError, match="trained 'tail' is not allowed; it must be all or head"):
        replace(recipe, trained="tail")
    assert not (tmp_path / STATE).exists()


def test_images_are_normalized_as_the_checkpoint_says(
    start: Start, recipe: Recipe, colored_data: Path, tmp_path: Path
) -> None:
    train(colored_data, tmp_path, replace(recipe, epochs=1, limit=20), start=start)
    limited = split_training_images(load_dataset(colored_data, "train"), replace(recipe, limit=20))
    assert limited.mean != start.spec.mean
    assert read_spec(tmp_path / CHECKPOINT).mean == start.spec.mean
