"""Public data sets by name, in the layouts in which they are published."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from satllm_ros.data.labelled.dataset import ALL_SPLITS, Dataset, DatasetError, check_split, class_shares

_SPLITS = ("test", "train")


@dataclass(frozen=True)
class _Published:
    """Where a data set may lie, and the share of its images that is for testing: none of them says which."""

    places: tuple[str, ...]
    test_share: float


_PUBLISHED = {
    "eurosat": _Published(("eurosat_rgb.parquet", "EuroSAT_RGB", "EuroSAT/2750", "2750"), 7500 / 27000),
    "resisc45": _Published(("resisc45_subset.parquet", "NWPU-RESISC45", "RESISC45"), 0.2),
}


# What a folder may be called: by the name, or as the images are published.
_NAMES = {
    Path(place).name.lower(): name for name, published in _PUBLISHED.items() for place in (name, *published.places)
}


def find_named(path: Path) -> tuple[str, Path] | None:
    """Name and place of the published data set that a path such as `data/eurosat` stands for; None for other paths.

    Looked for are its usual files and folders, in the path if it is a folder, else beside it. The path may also be
    such a folder itself.

    Raises
    ------
    DatasetError
        If the path ends in such a name, but nothing is there; the message lists what was looked for.
    """
    name = (_NAMES if path.is_dir() else {name: name for name in _PUBLISHED}).get(path.name.lower())
    if name is None or path.is_file():
        return None
    root = path if path.is_dir() else path.parent
    for place in _PUBLISHED[name].places:
        if (root / place).exists():
            return name, root / place
    if path.is_dir():
        return name, path
    raise DatasetError(
        f"data set {path} does not exist; in {root}, any of {', '.join(_PUBLISHED[name].places)} would do"
    )


def load_published_folder(name: str, path: Path, split: str) -> Dataset:
    """A split of a published folder of class folders.

    Each class gives its share of the test images, rounded by the largest-remainder method. Its files, sorted by the
    number in their names, are permuted by one generator of seed 0 that the classes use in the order of their names;
    the first ones are the test images. Images come by class, then by number, as in the Parquet files.
    """
    from satllm_ros.data.labelled.class_folders import load_class_folders

    check_split(path, split, _SPLITS)
    whole = load_class_folders(path, ALL_SPLITS)
    if split == ALL_SPLITS:
        return whole
    tests = class_shares(whole.labels, round(_PUBLISHED[name].test_share * len(whole)))
    generator = np.random.default_rng(0)
    chosen: list[int] = []
    for label, count in enumerate(tests):
        files = sorted(np.flatnonzero(whole.labels == label), key=lambda index: _number(whole.filenames[index]))
        drawn = [files[index] for index in generator.permutation(len(files))]
        chosen += drawn[:count] if split == "test" else drawn[count:]
    chosen.sort(key=lambda index: (whole.labels[index], _number(whole.filenames[index])))
    return whole.only(np.array(chosen, dtype=np.int64))


def published_splits() -> tuple[str, ...]:
    """Names of the splits of a published folder, sorted."""
    return _SPLITS


def _number(filename: str) -> int:
    numbers = re.findall(r"\d+", Path(filename).stem)
    return int(numbers[-1]) if numbers else 0
