"""A labelled image data set, from a Parquet file or a folder of class folders."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from satllm_ros.data.labelled.dataset import Dataset, DatasetError, class_shares

HELD_OUT_IMAGES = 2000
_LARGEST_HELD_OUT_SHARE = 5


def load_dataset(path: Path | str, split: str) -> Dataset:
    """Open a split of a labelled data set.

    Parameters
    ----------
    path
        A Parquet file with the columns filename, label, class_name, split, image, or a folder of class
        folders (class/file.jpg), which may be in split folders (train/class/file.jpg, test/class/file.jpg). Or a
        folder with the name of a public data set, `eurosat` or `resisc45`, that holds it as it is published.
    split
        Name of a split, or "all" for every image.

    Raises
    ------
    DatasetError
        If nothing is there, columns or class folders are missing, or the split is unknown.
    """
    from satllm_ros.data.labelled.named import find_named, load_published_folder

    if (named := find_named(Path(path))) is not None:
        name, path = named
        if path.is_dir() and not _has_splits(path):
            return load_published_folder(name, path, split)
    if _is_folder(path):
        from satllm_ros.data.labelled.class_folders import load_class_folders

        return load_class_folders(Path(path), split)
    from satllm_ros.data.labelled.parquet import load_parquet

    return load_parquet(Path(path), split)


def split_names(path: Path | str) -> tuple[str, ...]:
    """Names of a data set's splits, sorted; empty for a folder without split folders."""
    from satllm_ros.data.labelled.named import find_named, published_splits

    if (named := find_named(Path(path))) is not None:
        path = named[1]
        if path.is_dir() and not _has_splits(path):
            return published_splits()
    if _is_folder(path):
        from satllm_ros.data.labelled.class_folders import folder_splits

        return folder_splits(Path(path))
    from satllm_ros.data.labelled.parquet import parquet_splits

    return parquet_splits(Path(path))


def held_out(labels: NDArray[np.integer], count: int, seed: int = 0) -> NDArray[np.int64]:
    """Stratified random choice of images, each class giving its share.

    A class with n_c of the n images gives count * n_c / n of them, rounded by the largest-remainder method
    (ties: the lower label).

    Returns
    -------
    numpy.ndarray
        (count,) int64 indices into `labels`, ascending, the same for the same labels and seed.

    Raises
    ------
    DatasetError
        If count is not between 1 and len(labels) - 1.
    """
    if not 0 < count < len(labels):
        raise DatasetError(f"cannot hold out {count} of {len(labels)} images; allowed are 1 to {len(labels) - 1}")
    classes, shares = np.unique(labels), class_shares(labels, count)
    generator = np.random.default_rng(seed)
    chosen = [
        generator.permutation(np.flatnonzero(labels == label))[:share]
        for label, share in zip(classes, shares, strict=True)
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def held_out_part(labels: NDArray[np.integer], count: int = HELD_OUT_IMAGES) -> NDArray[np.int64]:
    """The part of a training split that no training sees, so that choices can be made on it; see `held_out`.

    `count` images, of a small data set at most a fifth; the same ones of the same labels in the same order, whatever
    the seed of a training, so that one that goes on from another's checkpoint has seen none of them.

    Raises
    ------
    DatasetError
        If that is no image.
    """
    count = min(count, len(labels) // _LARGEST_HELD_OUT_SHARE)
    if count == 0:
        raise DatasetError(f"{len(labels)} training images are too few; at least {_LARGEST_HELD_OUT_SHARE} are needed")
    return held_out(labels, count)


def _has_splits(folder: Path) -> bool:
    from satllm_ros.data.labelled.class_folders import folder_splits

    return bool(folder_splits(folder))


def _is_folder(path: Path | str) -> bool:
    if not Path(path).exists():
        raise DatasetError(f"data set {path} does not exist; a Parquet file or a folder of class folders is expected")
    return Path(path).is_dir()
