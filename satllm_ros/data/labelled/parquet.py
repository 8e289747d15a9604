"""A labelled data set in one Parquet file."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satllm_ros.data.labelled.dataset import ALL_SPLITS, Dataset, DatasetError, check_split

COLUMNS = ("filename", "label", "class_name", "split", "image")


def load_parquet(path: Path, split: str) -> Dataset:
    """Open a split of a Parquet data set; see `load_dataset`."""
    parquet = _import_pyarrow()
    _check_columns(path)
    index = _read(path, ["label", "class_name", "split"])
    splits = index["split"].to_numpy()
    check_split(path, split, sorted(set(splits)))
    classes = _class_names(path, index["label"].to_numpy().astype(np.int64), index["class_name"].to_numpy())
    rows = None if split == ALL_SPLITS else [("split", "=", split)]
    table = parquet.read_table(path, columns=["filename", "label", "image"], filters=rows)
    images = table["image"]
    if images.null_count:
        raise DatasetError(f"data set {path} has {images.null_count} rows without an image; every row needs one")
    return Dataset(
        labels=table["label"].to_numpy().astype(np.int64),
        classes=classes,
        filenames=tuple(table["filename"].to_pylist()),
        read_file=lambda row: images[row].as_py(),
    )


def parquet_splits(path: Path) -> tuple[str, ...]:
    """Names of the splits in a Parquet data set, sorted."""
    _check_columns(path)
    return tuple(sorted(set(_read(path, ["split"])["split"].to_pylist())))


def _import_pyarrow() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise DatasetError(
            "reading a Parquet data set needs pyarrow, which is not installed: run `pip install pyarrow`"
        ) from error
    return parquet


def _check_columns(path: Path) -> None:
    parquet = _import_pyarrow()
    from pyarrow import ArrowInvalid

    try:
        schema = parquet.read_schema(path)
    except ArrowInvalid as error:
        raise DatasetError(f"{path} is not a Parquet file, or is truncated") from error
    present = schema.names
    if missing := [name for name in COLUMNS if name not in present]:
        raise DatasetError(
            f"data set {path} lacks the columns {', '.join(missing)}; needed are {', '.join(COLUMNS)}, "
            f"present are {', '.join(present)}"
        )
    wrong = [
        f"{name} is {schema.field(name).type}" for name in COLUMNS if not _is_of_type(name, schema.field(name).type)
    ]
    if wrong:
        raise DatasetError(
            f"data set {path} has columns of other types: {', '.join(wrong)}; labels are integers, images "
            "bytes of files, all others text"
        )


def _is_of_type(name: str, found: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(found):
        found = found.value_type
    if name == "label":
        return bool(types.is_integer(found))
    if name == "image":
        return bool(types.is_binary(found) or types.is_large_binary(found))
    return bool(types.is_string(found) or types.is_large_string(found))


def _read(path: Path, columns: list[str]) -> Any:
    table = _import_pyarrow().read_table(path, columns=columns)
    if table.num_rows == 0:
        raise DatasetError(f"data set {path} has no rows")
    for name in columns:
        if table[name].null_count:
            raise DatasetError(f"column {name} of data set {path} has empty cells; every row needs a value")
    return table


def _class_names(path: Path, labels: NDArray[np.int64], names: NDArray[np.object_]) -> tuple[str, ...]:
    pairs = sorted({(int(label), str(name)) for label, name in zip(labels, names, strict=True)})
    if [label for label, _ in pairs] != list(range(len(pairs))):
        raise DatasetError(
            f"data set {path} pairs labels and classes as {pairs}; labels must count from 0 and have one name each"
        )
    return tuple(name for _, name in pairs)
