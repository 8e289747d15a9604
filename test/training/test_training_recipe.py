import math
from pathlib import Path

import numpy as np
import pytest

from satllm_ros.data.labelled.dataset import DatasetError
from satllm_ros.data.labelled.datasets import load_dataset
from satllm_ros.training.recipe import Recipe, TrainingError, learning_rate
from satllm_ros.training.split import channel_statistics, split_training_images


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    recipe = Recipe(learning_rate=2e-3, warm_up_share=0.1)
    rates = [learning_rate(recipe, step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([2e-4 * (step + 1) for step in range(10)])
    assert rates[10] == max(rates) == pytest.approx(2e-3)
    assert all(later < earlier for earlier, later in zip(rates[10:], rates[11:], strict=False))
    assert rates[55] == pytest.approx(1e-3)
    assert 0 < rates[-1] < 1e-6


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("batch_size", 0), ("learning_rate", math.nan), ("learning_rate", 0.0), ("seed", -1)],
)
def test_a_senseless_recipe_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(TrainingError, match=f"{name} {value} is not allowed"):
        Recipe(**{name: value})


def test_channel_statistics_are_those_of_the_chosen_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
    chosen = np.array([True, False, True, True, False, True])
    mean, std = channel_statistics(images, chosen)
    pixels = images[chosen].reshape(-1, 3) / 255
    assert mean == pytest.approx(pixels.mean(axis=0), abs=1e-6)
    assert std == pytest.approx(pixels.std(axis=0), abs=1e-6)
    assert min(channel_statistics(np.zeros_like(images), chosen)[1]) > 0


def test_held_out_images_are_no_training_images(colored_data: Path, tiny_recipe: Recipe) -> None:
    dataset = load_dataset(colored_data, "train")
    split = split_training_images(dataset, tiny_recipe)
    assert len(split.images) == len(split.labels) == 48
    assert len(split.held_out_images) == len(split.held_out_labels) == 12
    assert np.bincount(split.held_out_labels.numpy()).tolist() == [4, 4, 4]
    everything = {image.numpy().tobytes() for image in (*split.images, *split.held_out_images)}
    assert len(everything) == 60
    assert split.mean == pytest.approx(split.images.float().mean(dim=(0, 2, 3)).numpy() / 255, abs=1e-5)


def test_a_limit_takes_a_part_of_every_class_and_no_more_than_there_is(colored_data: Path) -> None:
    dataset = load_dataset(colored_data, "train")
    split = split_training_images(dataset, Recipe(limit=30))
    assert (len(split.images), len(split.held_out_images)) == (30, 12)
    assert np.bincount(split.labels).tolist() == [10, 10, 10]
    for limit in (0, 49):
        with pytest.raises(TrainingError, match=f"limit {limit} is not allowed; 1 to 48 are, since 12 of 60"):
            split_training_images(dataset, Recipe(limit=limit))
    with pytest.raises(DatasetError, match="4 training images are too few"):
        split_training_images(dataset.only(np.arange(4)), Recipe())


def test_what_is_held_out_depends_on_the_data_alone(colored_data: Path) -> None:
    dataset = load_dataset(colored_data, "train")
    first = split_training_images(dataset, Recipe())
    for other in (Recipe(seed=1), Recipe(seed=2, limit=30)):
        assert split_training_images(dataset, other).held_out_images.equal(first.held_out_images)
    drawn = [split_training_images(dataset, Recipe(seed=seed, limit=30)).images for seed in (1, 2)]
    assert not drawn[0].equal(drawn[1])
