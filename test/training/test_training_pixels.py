"""Images whose meaning is stated: training, calibration and evaluation read them alike, and the checkpoint says how."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_training_command import TINY, run

from satllm_ros.data.images.decoding import ImageError
from satllm_ros.data.images.pixels import AS_DECLARED, PixelRules, PixelRulesError
from satllm_ros.data.labelled.dataset import DatasetError
from satllm_ros.data.labelled.datasets import load_dataset
from satllm_ros.model.spec import read_spec
from satllm_ros.training.recipe import TrainingError

SIDE = 16
OPTIONS = ("--epochs", 1, "--batch-size", 8, "--model-args", *TINY)
RULES = PixelRules((4, 3, 2), 0.1, SIDE)
STATED = ("--bands", "4,3,2", "--pixel-scale", 0.1, "--resize", SIDE)


def in_class_folders(root: Path, save: object, count: int = 6) -> Path:
    generator = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("land", "sea"):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                save(root / split / name / f"{number}", generator, number)
    return root


@pytest.fixture(scope="module")
def bands_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five bands of 12 bits in TIFF files of several sizes, as satellites give them."""

    def save(path: Path, generator: np.random.Generator, number: int) -> None:
        samples = generator.integers(0, 4096, (SIDE + number % 3, SIDE + number % 2, 5), dtype=np.uint16)
        tifffile.imwrite(path.with_suffix(".tif"), samples, photometric="minisblack", planarconfig="contig")

    return in_class_folders(tmp_path_factory.mktemp("bands"), save)


@pytest.fixture(scope="module")
def sizes_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8-bit images, most of the model's size, a few a little larger or smaller."""

    def save(path: Path, generator: np.random.Generator, number: int) -> None:
        height, width = [(SIDE, SIDE), (SIDE, SIDE), (SIDE - 1, SIDE + 2)][number % 3]
        Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path.with_suffix(".png"))

    return in_class_folders(tmp_path_factory.mktemp("sizes"), save)


def test_what_is_not_stated_is_refused_before_training(bands_data: Path, sizes_data: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="train/land/0.tif has 16-bit unsigned samples, 5 bands.*bands .*pixel_scale"):
        run("train", "--data", bands_data, "--out", tmp_path / "a", *OPTIONS)
    with pytest.raises(DatasetError, match="train/land/2.png is 18x15, .* is 16x16; .*--resize N"):
        run("train", "--data", sizes_data, "--out", tmp_path / "b", *OPTIONS)
    with pytest.raises(TrainingError, match="the images are 8x8, .*, or --resize 16"):
        run("train", "--data", sizes_data, "--out", tmp_path / "c", "--resize", 8, *OPTIONS)


def test_a_model_says_what_it_was_trained_on_and_is_measured_so(
    bands_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("train", "--data", bands_data, "--out", out, *STATED, *OPTIONS) == 0
    checkpoint = out / "checkpoint.safetensors"
    spec = read_spec(checkpoint)
    assert spec.pixels == RULES
    # Tenths of 0 to 4095, of which those above 2550 are white.
    assert spec.mean == pytest.approx((0.69,) * 3, abs=0.02)
    trained = capsys.readouterr().out.split("test accuracy of all:")[1].split("(")[0]

    evaluated = ("evaluate", "--checkpoint", checkpoint, "--data", bands_data)
    for stated in ((), ("--pixel-scale", 0.1)):
        assert run(*evaluated, *stated) == 0
        assert f"accuracy of all:{trained}" in capsys.readouterr().out
    with pytest.raises(PixelRulesError, match=r"bands 1,2,3 is stated, but .*checkpoint.safetensors was trained with"):
        run(*evaluated, "--bands", "1,2,3")

    with pytest.raises(TrainingError, match="written with pixels .*0.1.*, not .*0.2"):
        run(
            "train",
            "--data",
            bands_data,
            "--out",
            out,
            "--resume",
            *STATED[:2],
            "--pixel-scale",
            0.2,
            *STATED[4:],
            *OPTIONS,
        )
    further = ("train", "--data", bands_data, "--out", tmp_path / "further", "--init", checkpoint, *OPTIONS[:4])
    assert run(*further) == 0
    assert read_spec(tmp_path / "further" / "checkpoint.safetensors").pixels == RULES


def test_images_of_several_sizes_are_trained_on_once_their_size_is_stated(sizes_data: Path, tmp_path: Path) -> None:
    assert run("train", "--data", sizes_data, "--out", tmp_path, "--resize", SIDE, *OPTIONS) == 0
    assert read_spec(tmp_path / "checkpoint.safetensors").pixels == PixelRules(resize=SIDE)


def test_nothing_stated_leaves_the_file_as_it_always_was(colored_data: Path, tmp_path: Path) -> None:
    assert run("train", "--data", colored_data, "--out", tmp_path, *OPTIONS, "--limit", 20) == 0
    assert read_spec(tmp_path / "checkpoint.safetensors").pixels == AS_DECLARED
    assert b'"pixels"' not in (tmp_path / "checkpoint.safetensors").read_bytes()[:4000]


def test_a_selection_of_images_is_read_by_the_same_rules(bands_data: Path) -> None:
    dataset = load_dataset(bands_data, "test").with_pixels(RULES)
    assert dataset.stack(range(len(dataset))).shape == (len(dataset), SIDE, SIDE, 3)
    np.testing.assert_array_equal(dataset.only(np.array([3])).image(0), dataset.image(3))
