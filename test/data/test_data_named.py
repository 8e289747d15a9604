"""Public data sets by name."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from satllm_ros.data.labelled.dataset import DatasetError
from satllm_ros.data.labelled.datasets import load_dataset, split_names


@pytest.fixture
def published(tmp_path: Path, encode_image: Callable[..., bytes]) -> Path:
    """A folder with EuroSAT_RGB in it: three classes of 9 images, numbered 1 to 9 and beyond 9."""
    for label, name in enumerate(("Forest", "Highway", "River")):
        folder = tmp_path / "data" / "EuroSAT_RGB" / name
        folder.mkdir(parents=True)
        for number in range(5, 14):
            (folder / f"{name}_{number}.jpg").write_bytes(encode_image(100 * label + number))
    return tmp_path / "data"


def test_a_published_folder_is_split_by_its_rule(published: Path) -> None:
    assert split_names(published / "eurosat") == ("test", "train")
    test, train, whole = (load_dataset(published / "eurosat", split) for split in ("test", "train", "all"))
    # 7,500 of 27,000 are 7.5 of 27: 8, shared 3, 3, 2.
    assert np.bincount(test.labels).tolist() == [3, 3, 2]
    assert np.bincount(train.labels).tolist() == [6, 6, 7]
    assert set(test.filenames) | set(train.filenames) == set(whole.filenames)
    assert not set(test.filenames) & set(train.filenames)
    generator = np.random.default_rng(0)
    expected = [f"Forest/Forest_{5 + number}.jpg" for number in generator.permutation(9)[:3]]
    assert sorted(expected) == sorted(name for name in test.filenames if name.startswith("Forest"))
    name = test.filenames[0]
    assert test.jpeg(0) == (published / "EuroSAT_RGB" / name).read_bytes()


def test_the_name_may_be_the_folder_itself_and_a_parquet_file_goes_first(published: Path, parquet_file: Path) -> None:
    (published / "EuroSAT_RGB").rename(published / "2750")
    published = published.rename(published.parent / "EuroSAT")
    assert len(load_dataset(published, "all")) == 27
    shutil.copy(parquet_file, published / "eurosat_rgb.parquet")
    assert load_dataset(published, "test").classes == ("Field", "Forest", "Lake")


@pytest.mark.parametrize("name", ["EuroSAT_RGB", "EuroSAT", "eurosat", "2750"])
def test_the_published_folder_itself_may_be_named(name: str, published: Path) -> None:
    expected = load_dataset(published / "eurosat", "test").filenames
    folder = (published / "EuroSAT_RGB").rename(published / name)
    assert split_names(folder) == ("test", "train")
    assert load_dataset(folder, "test").filenames == expected


def test_images_come_by_class_and_number_so_that_the_same_are_held_out_of_the_parquet_file(published: Path) -> None:
    for split in ("test", "train"):
        names = load_dataset(published / "eurosat", split).filenames
        assert list(names) == sorted(names, key=lambda name: (name.split("/")[0], int(name.split("_")[-1][:-4])))


def test_a_file_that_is_missing_is_not_taken_from_elsewhere(published: Path) -> None:
    with pytest.raises(DatasetError, match=r"eurosat_rgb\.parquet does not exist"):
        load_dataset(published / "eurosat_rgb.parquet", "test")


def test_a_folder_of_that_name_with_class_folders_is_a_plain_one(class_folders: Path) -> None:
    renamed = class_folders.rename(class_folders.parent / "resisc45")
    assert split_names(renamed) == ("test", "train")
    assert len(load_dataset(renamed, "test")) == 9


def test_what_was_looked_for_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="resisc45_subset.parquet, NWPU-RESISC45, RESISC45 would do"):
        load_dataset(tmp_path / "resisc45", "test")
