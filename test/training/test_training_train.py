import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from interruption import StopAfter
from safetensors.numpy import load_file

from satllm_ros.data.labelled.dataset import DatasetError
from satllm_ros.data.labelled.datasets import load_dataset
from satllm_ros.model.errors import ModelError
from satllm_ros.model.spec import read_spec
from satllm_ros.training import train as module
from satllm_ros.training.evaluation.evaluate import evaluate, predict
from satllm_ros.training.recipe import Recipe, TrainingError
from satllm_ros.training.train import CHECKPOINT, METRICS, STATE, TEST_ACCURACY, train
from satllm_ros.training.watch import Watch


def metrics(out: Path) -> list[tuple[str, ...]]:
    """Rows of metrics.csv less the speed, which no two runs share."""
    with (out / METRICS).open(newline="") as file:
        return [tuple(value for name, value in row.items() if name != "images_per_s") for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def straight(colored_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of three epochs without interruption."""
    torch.set_num_threads(1)
    arguments = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
    out = tmp_path_factory.mktemp("straight") / "out"
    train(colored_data, out, Recipe(arguments=arguments, epochs=3, batch_size=16, learning_rate=1e-2))
    return out


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_an_interrupted_training_resumes_to_the_same_bits(
    epoch: int, straight: Path, colored_data: Path, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(colored_data, tmp_path, tiny_recipe, watch=StopAfter(epoch))
    assert not (tmp_path / TEST_ACCURACY).exists()
    train(colored_data, tmp_path, tiny_recipe, resume=True)
    assert metrics(tmp_path) == metrics(straight)
    assert (tmp_path / CHECKPOINT).read_bytes() == (straight / CHECKPOINT).read_bytes()
    states = [torch.load(out / STATE, weights_only=True) for out in (tmp_path, straight)]
    for name, tensor in states[0]["model"].items():
        assert torch.equal(tensor, states[1]["model"][name]), name
    assert (tmp_path / TEST_ACCURACY).read_text() == (straight / TEST_ACCURACY).read_text()


def test_another_seed_gives_other_weights(
    straight: Path, colored_data: Path, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    train(colored_data, tmp_path, replace(tiny_recipe, seed=1))
    assert (tmp_path / CHECKPOINT).read_bytes() != (straight / CHECKPOINT).read_bytes()


def test_training_learns_what_can_be_learned(colored_data: Path, tiny_recipe: Recipe, tmp_path: Path) -> None:
    rows = train(colored_data, tmp_path, replace(tiny_recipe, epochs=15))
    assert [row.name for row in rows] == ["blue", "green", "red", "all"]
    assert rows[-1].images == 24
    assert rows[-1].share > 0.9
    # The number reported is that of the file written, rounded to fp16.
    assert evaluate(tmp_path / CHECKPOINT, load_dataset(colored_data, "test")) == rows


def test_the_checkpoint_is_the_first_epoch_best_on_the_held_out_images(
    colored_data: Path, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies = iter([0.25, 0.5, 0.5])
    monkeypatch.setattr(module, "held_out_accuracy", lambda *_: next(accuracies))
    weights: list[dict[str, np.ndarray]] = []

    class Weights(Watch):
        def start(self, epochs: int, images: int, epochs_done: int) -> None:
            assert (epochs, images, epochs_done) == (3, 48, 0)

        def epoch(self, epoch: int, loss: float, accuracy: float) -> None:
            if epoch > 0:
                weights.append(load_file(tmp_path / CHECKPOINT))

    train(colored_data, tmp_path, tiny_recipe, watch=Weights())
    after_first, after_second = weights
    final = load_file(tmp_path / CHECKPOINT)
    assert not np.array_equal(after_first["head.weight"], after_second["head.weight"])
    assert np.array_equal(after_second["head.weight"], final["head.weight"])


def test_the_checkpoint_says_what_it_is(straight: Path) -> None:
    spec = read_spec(straight / CHECKPOINT)
    assert spec.classes == ("blue", "green", "red")
    assert (spec.architecture, spec.blocks, spec.tokens, spec.image_height) == (
        "vit_tiny_patch16_224",
        2,
        5,
        16,
    )
    assert all(value.dtype == np.float16 for value in load_file(straight / CHECKPOINT).values())


def test_the_test_split_is_read_once(
    straight: Path, colored_data: Path, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "evaluate", lambda *_: pytest.fail("the test split was evaluated again"))
    assert train(colored_data, straight, tiny_recipe, resume=True)[-1].images == 24


def test_a_training_is_not_overwritten_nor_continued_differently(
    straight: Path, colored_data: Path, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="already holds state.pt.*--resume"):
        train(colored_data, straight, tiny_recipe)
    with pytest.raises(TrainingError, match=r"written with learning_rate 0\.01, not 0\.02"):
        train(colored_data, straight, replace(tiny_recipe, learning_rate=0.02), resume=True)
    with pytest.raises(TrainingError, match="nothing to resume"):
        train(colored_data, tmp_path, tiny_recipe, resume=True)
    (tmp_path / STATE).write_bytes(b"not a state")
    with pytest.raises(TrainingError, match="no training state"):
        train(colored_data, tmp_path, tiny_recipe, resume=True)


def test_data_and_model_that_do_not_fit_are_refused_before_training(
    colored_data: Path, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="lacks the split test and the split train; it has none"):
        train(colored_data / "train", tmp_path, tiny_recipe)
    with pytest.raises(TrainingError, match="images are 16x16, .* takes 64x64; give --model-args img_size=16"):
        train(colored_data, tmp_path, Recipe())
    with pytest.raises(ModelError, match="resnet18"):
        train(colored_data, tmp_path, replace(tiny_recipe, architecture="resnet18"))
    assert not (tmp_path / STATE).exists()


def test_predicting_needs_the_checkpoints_own_classes(straight: Path, colored_data: Path) -> None:
    dataset = load_dataset(colored_data, "test")
    with pytest.raises(DatasetError, match="classes are red, green, blue"):
        predict(straight / CHECKPOINT, replace(dataset, classes=("red", "green", "blue")))
