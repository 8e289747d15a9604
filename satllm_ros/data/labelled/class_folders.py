"""A labelled data set as a folder of class folders, with or without split folders above them."""

import logging
from pathlib import Path

import numpy as np

from satllm_ros.data.folder import IMAGE_EXTENSIONS, image_files, left_out_sentence
from satllm_ros.data.labelled.dataset import ALL_SPLITS, Dataset, DatasetError, check_split

# Either name among the subfolders says that the subfolders are splits, not classes.
_SPLIT_FOLDERS = ("train", "test")


def load_class_folders(path: Path, split: str) -> Dataset:
    """Open a split of a folder data set; classes are numbered in the order of their names."""
    splits = folder_splits(path)
    if not splits and split != ALL_SPLITS:
        raise DatasetError(
            f"folder {path} is not split: it has no train/ and test/ folder above its class folders; "
            f"make them, or ask for the split {ALL_SPLITS!r}"
        )
    check_split(path, split, splits)
    roots = {name: path / name for name in splits} if splits else {ALL_SPLITS: path}
    classes = tuple(sorted({folder.name for root in roots.values() for folder in _subfolders(root)}))
    if not classes:
        raise DatasetError(f"folder {path} holds no class folders; expected is class/file{IMAGE_EXTENSIONS[0]}")
    wanted = list(roots.values()) if split == ALL_SPLITS else [roots[split]]
    files: list[Path] = []
    labels: list[int] = []
    left_out: dict[str, list[str]] = {}
    for root in wanted:
        for folder in _subfolders(root):
            found = image_files(folder)
            if not found.files:
                raise DatasetError(
                    f"class folder {folder} holds no image; allowed are {', '.join(IMAGE_EXTENSIONS)}"
                    f"{'; ' + found.sentence if found.left_out else ''}"
                )
            # Not in the order of a flight: which images are held out goes by this one, for checkpoints of long ago.
            files += sorted(folder / name for name in found.files)
            labels += [classes.index(folder.name)] * len(found.files)
            for reason, names in found.left_out.items():
                left_out.setdefault(reason, []).extend(f"{folder.relative_to(path).as_posix()}/{n}" for n in names)
    if not files:
        raise DatasetError(f"split {split!r} of {path} holds no class folders")
    if left_out:
        said = left_out_sentence({reason: tuple(names) for reason, names in left_out.items()})
        logging.getLogger(__name__).warning("of data set %s %s", path, said)
    return Dataset(
        labels=np.array(labels, dtype=np.int64),
        classes=classes,
        filenames=tuple(file.relative_to(path).as_posix() for file in files),
        read_file=lambda index: files[index].read_bytes(),
    )


def folder_splits(path: Path) -> tuple[str, ...]:
    """Names of the split folders, sorted; empty if the subfolders are classes."""
    names = tuple(folder.name for folder in _subfolders(path))
    return names if any(name in _SPLIT_FOLDERS for name in names) else ()


def _subfolders(path: Path) -> list[Path]:
    return sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith("."))
